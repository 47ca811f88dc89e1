// A worker's oplog as a timeline: a drawing of all that is loaded, a list of entries, and the details of one.
import { clock, duration, fill, h, moment, s } from "./elements.js";
import { print } from "./exact_json.js";
import { typedValue } from "./types.js";
import { typedDataValue } from "./data_values.js";

const KINDS = {
  AgentInvocationStarted: "invocation", AgentInvocationFinished: "done", PendingAgentInvocation: "wait",
  HostCall: "read", Log: "log", Error: "bad", Suspend: "wait", Interrupted: "wait", Exited: "bad", Jump: "bad", Revert: "bad",
  FailedUpdate: "bad", SuccessfulUpdate: "done", PendingUpdate: "wait", CancelPendingInvocation: "wait", Create: "done",
  BeginRemoteWrite: "write", EndRemoteWrite: "write",
};
const LEGEND = [["invocation", "invocation"], ["done", "finished"], ["read", "host call, local or reading"],
  ["write", "host call that writes"], ["wait", "waiting"], ["log", "output"], ["bad", "error, jump, revert"]];

/** What colour an entry has. */
export function kindOf(entry) {
  if (entry.type === "HostCall" && entry.durableFunctionType.type.startsWith("Write")) return "write";
  return KINDS[entry.type] ?? "read";
}

function invocationName(invocation) {
  if (invocation.type === "AgentInitialization") return "constructor";
  if (invocation.type === "ManualUpdate") return `update to revision ${invocation.targetRevision}`;
  return invocation.methodName ?? invocation.type;
}

/** One line that says what an entry is. */
export function headline(entry) {
  switch (entry.type) {
    case "AgentInvocationStarted": return `${invocationName(entry.invocation)}`;
    case "AgentInvocationFinished": return "finished";
    case "PendingAgentInvocation": return `queued: ${invocationName(entry.invocation)}`;
    case "HostCall": return entry.functionName;
    case "Log": return `${entry.level.toLowerCase()}: ${entry.message.trimEnd()}`;
    case "Error": return `error: ${typeof entry.error === "string" ? entry.error.split("\n")[0] : print(entry.error)}`;
    case "Create": return "created";
    case "Suspend": return "suspended";
    case "Jump": return `jumped over ${entry.jump.start} to ${entry.jump.end}`;
    case "Revert": return `reverted ${entry.droppedRegion.start} to ${entry.droppedRegion.end}`;
    case "PendingUpdate": case "SuccessfulUpdate": case "FailedUpdate":
      return `${entry.type.replace("Update", "").toLowerCase()} update to revision ${entry.targetRevision}`;
    default: return entry.type.replace(/(?!^)[A-Z]/g, letter => ` ${letter.toLowerCase()}`);
  }
}

/** The timeline of one worker. `actions(item)` gives the buttons for an entry. */
export class Timeline {
  constructor(actions) {
    this.items = [];
    this.dropped = [];
    this.picked = null;
    this.actions = actions;
    this.drawing = s("svg", { class: "overview", role: "img", "aria-label": "The loaded entries over time" });
    this.list = h("ul", { class: "entries", role: "listbox", tabindex: "0", "aria-label": "Oplog entries" });
    this.details = h("section", { class: "card", "aria-label": "Details", "aria-live": "polite" });
    this.list.addEventListener("keydown", event => this.key(event));
    fill(this.details, h("p", { class: "empty" }, "Choose an entry to see what went in and what came out."));
  }

  legend() {
    return h("div", { class: "legend", "aria-hidden": "true" },
      LEGEND.map(([kind, text]) => h("span", {}, h("i", { class: `fill-${kind}` }), text)));
  }

  /** Show these entries: [{ oplogIndex, entry }], by index; `dropped` are regions that count no more. */
  show(items, dropped) {
    this.items = items;
    this.dropped = dropped;
    this.draw();
    this.listEntries();
    if (this.picked !== null) this.pick(this.picked, false);
  }

  isDropped(index) {
    return this.dropped.some(region => index >= region.start && index <= region.end);
  }

  listEntries() {
    const scrolled = this.list.scrollTop;
    let inside = false, began = null;
    const rows = this.items.map(({ oplogIndex, entry }) => {
      const begins = entry.type === "AgentInvocationStarted";
      const ends = entry.type === "AgentInvocationFinished";
      let text = headline(entry);
      if (begins) began = new Date(entry.timestamp);
      if (ends && began) text += ` after ${duration(new Date(entry.timestamp) - began)}`;
      const row = h("li", {
        id: `entry-${oplogIndex}`, role: "option", "aria-selected": "false", "data-index": oplogIndex, "data-type": entry.type,
        class: `${begins ? "begins " : ""}${inside && !begins ? "inside " : ""}${this.isDropped(oplogIndex) ? "dropped" : ""}`,
        onclick: () => this.pick(oplogIndex),
      }, h("span", { class: "index" }, String(oplogIndex)), h("span", { class: `dot fill-${kindOf(entry)}` }),
      h("span", { class: "what", title: text }, text), h("span", { class: "when" }, clock(entry.timestamp)));
      if (begins) inside = true;
      if (ends || entry.type === "Interrupted") inside = false;
      return row;
    });
    fill(this.list, rows.length ? rows : h("p", { class: "empty" }, "No entries."));
    this.list.scrollTop = scrolled;
  }

  // Time is drawn by the logarithm of what passes between two entries: a week of sleep must not hide a millisecond of work.
  positions(width) {
    let at = 0, before = null;
    const places = this.items.map(({ entry }) => {
      const now = new Date(entry.timestamp).getTime();
      at += before === null ? 0 : 1 + 2 * Math.log1p(Math.max(0, now - before));
      before = now;
      return at;
    });
    return places.map(place => 8 + (at ? place / at : 0) * (width - 16));
  }

  draw() {
    const width = 1000, places = this.positions(width);
    this.drawing.setAttribute("viewBox", `0 0 ${width} 92`);
    this.drawing.setAttribute("preserveAspectRatio", "none");
    const shapes = [16, 44, 72].map(y => s("line", { class: "lane", x1: 0, x2: width, y1: y + 8, y2: y + 8 }));
    let start = null;
    const mark = (item, x, y, w, kind) => shapes.push(s("rect", {
      x, y, width: Math.max(w, 3), height: 14, rx: 2, class: `mark fill-${kind} ${this.picked === item.oplogIndex ? "picked" : ""}`,
      "fill-opacity": this.isDropped(item.oplogIndex) ? 0.3 : 1, onclick: () => this.pick(item.oplogIndex),
    }, s("title", {}, `${item.oplogIndex}: ${headline(item.entry)}`)));
    this.items.forEach((item, at) => {
      const { entry } = item, x = places[at];
      if (entry.type === "AgentInvocationStarted") start = [item, x];
      else if (["AgentInvocationFinished", "Error", "Interrupted", "Exited"].includes(entry.type)) {
        if (start) mark(start[0], start[1], 17, x - start[1], entry.type === "AgentInvocationFinished" ? "invocation" : "bad");
        else mark(item, x, 17, 3, kindOf(entry));
        start = null;
      } else if (entry.type === "Suspend") mark(item, x, 17, (places[at + 1] ?? x + 12) - x, "wait");
      else if (entry.type === "HostCall") mark(item, x, 45, 3, kindOf(entry));
      else mark(item, x, 73, 3, kindOf(entry));
    });
    if (start) mark(start[0], start[1], 17, Math.max(6, width - 8 - start[1]), "invocation");
    fill(this.drawing, shapes);
  }

  key(event) {
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 15, PageUp: -15 }[event.key];
    let at = this.items.findIndex(item => item.oplogIndex === this.picked);
    if (event.key === "Home") at = 0;
    else if (event.key === "End") at = this.items.length - 1;
    else if (step) at = at < 0 ? 0 : Math.min(this.items.length - 1, Math.max(0, at + step));
    else return;
    event.preventDefault();
    if (this.items[at]) this.pick(this.items[at].oplogIndex);
  }

  pick(index, scroll = true) {
    const item = this.items.find(each => each.oplogIndex === index);
    if (!item) return;
    this.picked = index;
    for (const row of this.list.querySelectorAll("[aria-selected=true]")) row.setAttribute("aria-selected", "false");
    const row = this.list.querySelector(`#entry-${index}`);
    row?.setAttribute("aria-selected", "true");
    this.list.setAttribute("aria-activedescendant", `entry-${index}`);
    if (scroll) row?.scrollIntoView({ block: "nearest" });
    for (const each of this.drawing.querySelectorAll(".picked")) each.classList.remove("picked");
    this.draw();
    fill(this.details, ...describe(item), this.actions(item));
  }
}

function fact(name, value) {
  return value === undefined || value === null || value === "" ? [] : [h("dt", {}, name), h("dd", {}, value)];
}

function section(title, content) {
  return h("div", { style: "margin-top: 14px" }, h("h2", {}, title), content);
}

const json = value => h("pre", { class: "value" }, print(value, "  "));

/** Everything of one entry. */
function describe({ oplogIndex, entry }) {
  const parts = [];
  const facts = [...fact("entry", h("code", {}, `${oplogIndex} · ${entry.type}`)), ...fact("time", moment(entry.timestamp))];
  const known = new Set(["type", "timestamp"]);
  const take = name => { known.add(name); return entry[name]; };
  if (entry.type === "HostCall") {
    facts.push(...fact("kind", take("durableFunctionType").type));
    take("functionName");
    parts.push(section("Request", typedValue(take("request"))), section("Response", typedValue(take("response"))));
  } else if (entry.invocation) {
    const invocation = take("invocation");
    facts.push(...fact("idempotency key", h("code", {}, invocation.idempotencyKey)), ...fact("trace", h("code", {}, invocation.traceId)));
    if (invocation.functionInput ?? invocation.constructorParameters) {
      parts.push(section("Request", typedDataValue(invocation.functionInput ?? invocation.constructorParameters)));
    }
  } else if (entry.type === "AgentInvocationFinished") {
    const result = take("result");
    facts.push(...fact("revision", String(take("componentRevision"))));
    take("consumedFuel");
    parts.push(section("Response", typedDataValue(result.output)));
  } else if (entry.type === "Error") {
    parts.push(section("Error", h("pre", { class: "value" }, typeof entry.error === "string" ? take("error") : print(take("error"), "  "))));
  } else if (entry.type === "Log") {
    parts.push(section(take("level"), h("pre", { class: "value" }, take("message"))));
  }
  const rest = Object.fromEntries(Object.entries(entry).filter(([name]) => !known.has(name)));
  if (Object.keys(rest).length) parts.push(section("More", json(rest)));
  return [h("h2", {}, headline(entry)), h("dl", { class: "facts" }, facts), ...parts];
}
