// The server's REST interface, as the console uses it.
import { parse, print } from "./exact_json.js";

const TOKEN = "golem-token";

/** What the server says of itself: { environmentId, application, environment, version }. */
export let settings = null;

export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: text => sessionStorage.setItem(TOKEN, text),
  forget: () => sessionStorage.removeItem(TOKEN),
};

/** The server refused; `status` is that of the answer. */
export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/** One request. The answer's JSON; throws Refused with the server's own words. */
export async function call(method, path, body, headers = {}) {
  const options = { method, headers: { authorization: `Bearer ${token.get()}`, ...headers } };
  if (body instanceof FormData) options.body = body;
  else if (body !== undefined) {
    options.body = print(body);
    options.headers["content-type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Refused(0, "The server does not answer");
  }
  const text = await answer.text();
  let json = null;
  try {
    json = text ? parse(text) : null;
  } catch {
    throw new Refused(answer.status, `The answer is no JSON (status ${answer.status})`);
  }
  if (!answer.ok) {
    if (answer.status === 401) document.dispatchEvent(new Event("signed-out"));
    throw new Refused(answer.status, json?.workerError?.cause ?? json?.error ?? `Status ${answer.status}`);
  }
  return json;
}

export async function start() {
  settings = await call("GET", "/console/settings.json");
}

const encode = encodeURIComponent;
// The command line's words for oplog entries: one form for workers and for agents.
const CLI = { "x-golem-cli-version": "1.5.9" };

export const worker = (component, name) => `/v1/components/${component}/workers/${encode(name)}`;
export const components = () => call("GET", `/v1/envs/${settings.environmentId}/components`);
export const component = id => call("GET", `/v1/components/${id}`);
export const revision = (id, number) => call("GET", `/v1/components/${id}/revisions/${number}`);

export function workers(id, filters, cursor, count = 50) {
  const query = new URLSearchParams({ count });
  for (const filter of filters) query.append("filter", filter);
  if (cursor) query.set("cursor", cursor);
  return call("GET", `/v1/components/${id}/workers?${query}`);
}

export function oplog(path, first, count = 100, query = "", cursor = "") {
  const asked = new URLSearchParams({ count });
  if (query) asked.set("query", query);
  else asked.set("from", first);
  if (cursor) asked.set("cursor", cursor);
  return call("GET", `${path}/oplog?${asked}`, undefined, CLI);
}

/** Follow a worker's events. `tell` gets each, `ended` the reason. Returns what stops it. */
export function follow(path, tell, ended) {
  const address = new URL(`${path}/connect`, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  // A browser can send no header with it: the token goes along as a protocol, which is no part of the address.
  const socket = new WebSocket(address, ["golem-events", `bearer.${token.get()}`]);
  socket.onmessage = message => {
    const [[kind, event]] = Object.entries(parse(message.data));
    tell(kind, event);
  };
  socket.onclose = close => ended(close.reason || (close.code === 1006 ? "the connection was lost" : ""));
  return () => {
    socket.onclose = null;
    socket.close();
  };
}
