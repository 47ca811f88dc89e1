// The pages above a worker: all components, and one component with its revisions and workers.
import * as api from "./api.js";
import { ask, attempt, bytes, fill, h, moment } from "./elements.js";
import { formForSchema, signature } from "./data_values.js";
import { typeText } from "./types.js";

const STATUSES = ["Running", "Idle", "Suspended", "Interrupted", "Retrying", "Failed", "Exited"];

export const chip = status => h("span", { class: `chip ${status}` }, status);

const kind = types => (types === 0 ? "workers" : types === 1 ? "1 agent type" : `${types} agent types`);

/** All components of the environment. */
export async function componentsPage(main) {
  const listed = await api.components();
  const rows = listed.map(each => h("tr", {},
    h("td", { class: "name" }, h("a", { href: `#/components/${each.componentId}` }, each.componentName)),
    h("td", { class: "number" }, String(each.revision)),
    h("td", { class: "number" }, bytes(each.componentSize)),
    h("td", {}, kind(each.metadata.agentTypes.length)),
    h("td", {}, moment(each.createdAt))));
  const upload = async () => {
    const name = h("input", { required: true, placeholder: "namespace:name", "aria-label": "Name" });
    const file = h("input", { type: "file", accept: ".wasm", required: true, "aria-label": "Component" });
    const body = await ask("Upload a component", [h("div", { class: "field" }, h("span", { class: "label" }, "Name"), name),
      h("div", { class: "field" }, h("span", { class: "label" }, "WebAssembly component"), file)], { action: "Upload", read() {
      const form = new FormData();
      form.append("name", name.value);
      form.append("component", file.files[0]);
      return form;
    } });
    if (body && await attempt(() => api.call("POST", `/v1/envs/${api.settings.environmentId}/components`, body), "Uploaded")) {
      await componentsPage(main);
    }
  };
  fill(main, h("div", { class: "head" }, h("h1", {}, "Components"), h("span", { class: "grow" }),
    h("button", { class: "main", type: "button", onclick: upload }, "Upload a component")),
  h("div", { class: "card flush" }, listed.length
    ? h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "Name"), h("th", { class: "number" }, "Revision"),
      h("th", { class: "number" }, "Size"), h("th", {}, "Kind"), h("th", {}, "Since"))), h("tbody", {}, rows))
    : h("p", { class: "empty" }, "There are no components yet. Upload one here, or with the command line.")));
}

/** One component. */
export async function componentPage(main, id) {
  const component = await api.component(id);
  const place = h("div", {});
  const tabs = [["Workers", () => workersTab(component, place)], ["Functions", () => functionsTab(component, place)],
    ["Revisions", () => revisionsTab(component, place)]];
  fill(main, h("div", { class: "head" }, h("h1", {}, component.componentName),
    h("span", { class: "chip" }, `revision ${component.revision}`), h("span", { class: "faint mono" }, component.componentId)),
  tabBar(tabs), place);
  await tabs[0][1]();
}

/** A row of tabs; arrows go from one to the next. */
export function tabBar(tabs) {
  const buttons = tabs.map(([name, show], at) => h("button", {
    type: "button", role: "tab", "aria-selected": at === 0 ? "true" : "false", tabindex: at === 0 ? "0" : "-1",
    async onclick() {
      if (this.getAttribute("aria-selected") === "true") return;
      for (const each of buttons) {
        each.setAttribute("aria-selected", each === this ? "true" : "false");
        each.tabIndex = each === this ? 0 : -1;
      }
      await attempt(show);
    },
    onkeydown(event) {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = buttons[(at + step + buttons.length) % buttons.length];
      next.focus();
      next.click();
    },
  }, name));
  return h("div", { class: "tabs", role: "tablist" }, buttons);
}

async function workersTab(component, place) {
  const name = h("input", { type: "search", placeholder: "name contains", "aria-label": "Name contains" });
  const status = h("select", { "aria-label": "Status" }, h("option", { value: "" }, "any status"), STATUSES.map(each => h("option", {}, each)));
  const more = h("input", { type: "search", size: 28, placeholder: "filter, such as version >= 1", "aria-label": "Filter" });
  const body = h("tbody", {});
  const foot = h("div", { class: "empty" });
  const filters = () => [
    ...(name.value ? [`name like ${name.value}`] : []), ...(status.value ? [`status = ${status.value}`] : []),
    ...(more.value ? [more.value] : [])];

  async function load(cursor) {
    const page = await api.workers(component.componentId, filters(), cursor);
    const rows = page.workers.map(each => h("tr", {},
      h("td", { class: "name" }, h("a", { class: "mono", href: workerLink(component.componentId, each.workerId.workerName) }, each.workerId.workerName)),
      h("td", {}, chip(each.status)), h("td", { class: "number" }, String(each.componentRevision)),
      h("td", { class: "number" }, String(each.pendingInvocationCount)), h("td", {}, moment(each.createdAt))));
    if (cursor) body.append(...rows);
    else fill(body, rows);
    fill(foot, page.cursor ? h("button", { type: "button", onclick: () => attempt(() => load(page.cursor)) }, "Load more")
      : body.childElementCount ? "" : filters().length ? "No worker fits." : "No workers yet. Create one, or invoke an agent.");
    foot.hidden = !foot.childNodes.length || foot.textContent === "";
  }
  const search = h("form", { class: "row", onsubmit(event) { event.preventDefault(); attempt(() => load()); } },
    name, status, more, h("button", {}, "Search"), h("span", { class: "grow", style: "flex: 1" }),
    h("button", { type: "button", class: "main", onclick: () => create(component) }, component.metadata.agentTypes.length ? "Open an agent" : "Create a worker"));
  status.addEventListener("change", () => attempt(() => load()));
  fill(place, h("div", { class: "card" }, search), h("div", { class: "card flush" },
    h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "Name"), h("th", {}, "Status"), h("th", { class: "number" }, "Revision"),
      h("th", { class: "number" }, "Queued"), h("th", {}, "Created"))), body), foot));
  await load();
}

export const workerLink = (id, name) => `#/components/${id}/workers/${encodeURIComponent(name)}`;

async function create(component) {
  const types = component.metadata.agentTypes;
  if (!types.length) {
    const name = h("input", { required: true, "aria-label": "Name" });
    const wanted = await ask("Create a worker", h("div", { class: "field" }, h("span", { class: "label" }, "Name"), name), { action: "Create", read: () => name.value });
    if (wanted !== null && await attempt(() => api.call("POST", `/v1/components/${component.componentId}/workers`, { name: wanted }))) {
      location.hash = workerLink(component.componentId, wanted);
    }
    return;
  }
  const select = h("select", { "aria-label": "Agent type" }, types.map(each => h("option", {}, each.typeName)));
  const place = h("div", {});
  let form = null;
  const show = () => {
    form = formForSchema(types[select.selectedIndex].constructor.inputSchema);
    fill(place, h("p", { class: "faint" }, types[select.selectedIndex].description), form.element);
  };
  select.addEventListener("change", show);
  show();
  let problem = null;
  const parameters = await ask("Open an agent", [h("div", { class: "field" }, select), place], { action: "Open", read() {
    try {
      return form.read();
    } catch (error) {
      problem = error;
      return null;
    }
  } });
  if (parameters === null) {
    if (problem) await attempt(() => { throw problem; });
    return;
  }
  await attempt(async () => {
    const made = await api.call("POST", "/v1/agents/create-agent", {
      appName: api.settings.application, envName: api.settings.environment, agentTypeName: select.value, parameters });
    location.hash = workerLink(made.agentId.componentId, made.agentId.agentId);
  });
}

function functionsTab(component, place) {
  const types = component.metadata.agentTypes.map(type => h("div", { class: "card" },
    h("h2", {}, type.typeName), h("p", { class: "faint" }, type.description),
    type.methods.map(method => h("div", { class: "field" }, h("code", {}, signature(method)), h("div", { class: "faint" }, method.description)))));
  const exports = functionsOf(component).map(each => h("div", { class: "field" }, h("code", {}, functionText(each))));
  fill(place, types, component.metadata.agentTypes.length ? null
    : h("div", { class: "card" }, exports.length ? exports : h("p", { class: "empty" }, "It exports no functions.")));
}

/** The exported functions of a component: { full, name, parameters, result }. */
export function functionsOf(component) {
  return component.metadata.exports.flatMap(each => (each.type === "Instance"
    ? each.functions.map(one => ({ ...one, full: `${each.name}.{${one.name}}` })) : [{ ...each, full: each.name }]));
}

export const shortFunctionText = one => `${one.full}(${one.parameters.map(each => each.name).join(", ")})`;

export function functionText(one) {
  const result = one.result?.typ;
  const parameters = one.parameters.map(each => `${each.name}: ${typeText(each.typ)}`).join(", ");
  return `${one.full}(${parameters})${result ? ` → ${typeText(result)}` : ""}`;
}

async function revisionsTab(component, place) {
  const numbers = Array.from({ length: Math.min(component.revision + 1, 30) }, (_, at) => component.revision - at);
  const revisions = await Promise.all(numbers.map(number => api.revision(component.componentId, number)));
  fill(place, h("div", { class: "card flush" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", { class: "number" }, "Revision"),
    h("th", { class: "number" }, "Size"), h("th", {}, "Created"), h("th", {}, "Content"))),
  h("tbody", {}, revisions.map(each => h("tr", {}, h("td", { class: "number" }, String(each.revision)),
    h("td", { class: "number" }, bytes(each.componentSize)), h("td", {}, moment(each.createdAt)), h("td", { class: "mono name" }, each.wasmHash)))))));
}
