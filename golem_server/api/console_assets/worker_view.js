// One worker: its status and what can be done with it, its timeline, its events as they happen, and its functions.
import * as api from "./api.js";
import { ask, attempt, bytes, clock, fill, h, moment, toast } from "./elements.js";
import { chip, functionsOf, functionText, shortFunctionText, tabBar, workerLink } from "./component_view.js";
import { answerOf, formForSchema, shortSignature, signature } from "./data_values.js";
import { Timeline } from "./timeline.js";
import { formFor, labelled, typedValue } from "./types.js";

const PAGE = 100;
const MAX_LINES = 2000;

/** The page of a worker. Returns what is to be done when it is left. */
export async function workerPage(main, id, name) {
  const page = new WorkerPage(main, id, name);
  await page.open();
  return () => page.close();
}

class WorkerPage {
  constructor(main, id, name) {
    this.main = main;
    this.id = id;
    this.name = name;
    this.path = api.worker(id, name);
    this.items = [];
    this.query = "";
    this.cursor = null;
    this.refreshing = null;
  }

  async open() {
    this.metadata = await api.call("GET", this.path);
    this.component = await api.revision(this.id, this.metadata.componentRevision);
    this.timeline = new Timeline(item => this.entryActions(item));
    this.head = h("div", { class: "head" });
    this.place = h("div", {});
    this.lines = h("div", { class: "live", role: "log", tabindex: "0", "aria-label": "Events" });
    const tabs = [["Timeline", () => this.showTimeline()], ["Live", () => this.showLive()], ["Invoke", () => this.showInvoke()],
      ["Details", () => this.showDetails()]];
    await this.loadNewest();
    fill(this.main, this.head, tabBar(tabs), this.place);
    this.showHead();
    this.showTimeline();
    this.follow();
  }

  close() {
    this.stop?.();
    clearTimeout(this.refreshing);
  }

  // --- The worker as it stands

  async refresh() {
    this.metadata = await api.call("GET", this.path);
    if (this.metadata.componentRevision !== this.component.revision) {
      this.component = await api.revision(this.id, this.metadata.componentRevision);
    }
    this.showHead();
    if (!this.query) await this.loadMore();
  }

  soon(milliseconds = 150) {
    clearTimeout(this.refreshing);
    this.refreshing = setTimeout(() => attempt(() => this.refresh()), milliseconds);
  }

  showHead() {
    const { status } = this.metadata;
    const button = (text, work, attributes = {}) => h("button", { type: "button", onclick: () => work(), ...attributes }, text);
    // A resumed worker counts as interrupted until its next entry.
    const stoppable = ["Running", "Suspended", "Retrying", "Interrupted"].includes(status);
    fill(this.head, h("h1", { class: "mono" }, this.name), chip(status),
      h("span", { class: "faint" }, `revision ${this.metadata.componentRevision}`),
      this.metadata.pendingInvocationCount ? h("span", { class: "faint" }, `${this.metadata.pendingInvocationCount} queued`) : null,
      h("span", { class: "grow" }),
      button("Refresh", () => attempt(() => this.refresh())),
      button("Interrupt", () => this.post("interrupt", undefined, "Interrupted"), { disabled: !stoppable }),
      button("Resume", () => this.post("resume", undefined, "Resumed"), { disabled: status === "Running" || status === "Retrying" }),
      button("Update", () => this.update()),
      button("Delete", () => this.remove(), { class: "bad" }));
  }

  async post(operation, body, done) {
    await attempt(() => api.call("POST", `${this.path}/${operation}`, body), done);
    await attempt(() => this.refresh());
    this.soon(500);
  }

  async update() {
    const latest = await api.component(this.id);
    const revisions = Array.from({ length: latest.revision + 1 }, (_, at) => latest.revision - at).slice(0, 50);
    const target = h("select", { "aria-label": "Revision" }, revisions.map(each => h("option", {}, String(each))));
    const mode = h("select", { "aria-label": "Way" }, h("option", { value: "Automatic" }, "automatic: replay the oplog with the new code"),
      h("option", { value: "Manual" }, "manual: by the guest's own snapshot"));
    const wanted = await ask("Update the worker", [h("div", { class: "field" }, h("span", { class: "label" }, "To revision"), target),
      h("div", { class: "field" }, h("span", { class: "label" }, "How"), mode)],
    { action: "Update", read: () => ({ mode: mode.value, targetRevision: Number(target.value) }) });
    if (wanted) await this.post("update", wanted, "The update is queued");
  }

  async remove() {
    const sure = await ask("Delete the worker", h("p", {}, "Its state and its whole oplog are gone for ever."), { action: "Delete" });
    if (sure && await attempt(() => api.call("DELETE", this.path), "Deleted")) location.hash = `#/components/${this.id}`;
  }

  // --- The timeline

  async loadNewest() {
    const first = await api.oplog(this.path, 1, 1);
    const last = Number(first.lastIndex ?? 1);
    this.items = [];
    let from = Math.max(1, last - 2 * PAGE + 1);
    while (from <= last) {
      const { entries } = await api.oplog(this.path, from, PAGE);
      if (!entries.length) break;
      this.items.push(...entries);
      from = entries.at(-1).oplogIndex + 1;
    }
  }

  async loadMore() {
    const before = this.items.length;
    for (;;) {
      const from = this.items.length ? this.items.at(-1).oplogIndex + 1 : 1;
      const { entries } = await api.oplog(this.path, from, PAGE);
      this.items.push(...entries);
      if (entries.length < PAGE) break;
    }
    if (this.items.length !== before || this.shown === "timeline") this.draw();
  }

  async loadEarlier() {
    const first = this.items[0].oplogIndex;
    const { entries } = await api.oplog(this.path, Math.max(1, first - PAGE), Math.min(PAGE, first - 1));
    this.items.unshift(...entries.filter(each => each.oplogIndex < first));
    this.draw();
  }

  async search(query) {
    this.query = query;
    if (!query) {
      await this.loadNewest();
    } else {
      this.items = [];
      let cursor = "";
      // A page may be empty and yet say where to go on: many entries were looked at.
      do {
        const page = await api.oplog(this.path, 1, PAGE, query, cursor);
        this.items.push(...page.entries);
        const next = page.next;
        cursor = next && this.items.length < 5 * PAGE ? `${next.nextOplogIndex}-${next.currentComponentRevision}` : "";
      } while (cursor);
    }
    this.draw();
  }

  draw() {
    this.timeline.show(this.items, this.metadata.deletedRegions);
    if (this.earlier) this.earlier.hidden = !this.items.length || this.items[0].oplogIndex === 1 || Boolean(this.query);
  }

  showTimeline() {
    this.shown = "timeline";
    const query = h("input", { id: "search", type: "search", size: 32, placeholder: "search, such as increment", "aria-label": "Search the oplog", value: this.query });
    this.earlier = h("button", { type: "button", onclick: () => attempt(() => this.loadEarlier()) }, "Load earlier entries");
    fill(this.place,
      h("div", { class: "card flush" }, this.timeline.drawing, this.timeline.legend()),
      h("div", { class: "split" },
        h("section", { class: "card flush" }, h("form", { class: "row", style: "padding: 12px 16px", onsubmit: event => { event.preventDefault(); attempt(() => this.search(query.value.trim())); } },
          query, h("button", {}, "Search"), this.earlier), this.timeline.list),
        this.timeline.details));
    this.draw();
    this.timeline.list.scrollTop = this.timeline.list.scrollHeight;
  }

  entryActions({ oplogIndex }) {
    return h("div", { class: "row", style: "margin-top: 16px" },
      h("button", { type: "button", "data-action": "fork", onclick: () => this.fork(oplogIndex) }, "Fork from here"),
      h("button", { type: "button", class: "bad", "data-action": "revert", onclick: () => this.revert(oplogIndex) }, "Revert to here"));
  }

  async fork(index) {
    const name = h("input", { required: true, size: 40, "aria-label": "Name", value: this.suggestedCopy() });
    const target = await ask(`Fork from entry ${index}`, h("div", { class: "field" }, h("span", { class: "label" }, "Name of the copy"), name), { action: "Fork", read: () => name.value });
    if (target === null) return;
    const body = { oplogIndexCutoff: index, targetAgentId: { componentId: this.id, agentId: target } };
    if (await attempt(() => api.call("POST", `${this.path}/fork`, body), `${target} was made`)) location.hash = workerLink(this.id, target);
  }

  suggestedCopy() {
    if (!this.component.metadata.agentTypes.length) return `${this.name}-copy`;
    return `${this.name.replace(/\[[0-9a-f-]{36}\]$/, "")}[${crypto.randomUUID()}]`;
  }

  async revert(index) {
    const sure = await ask(`Revert to entry ${index}`, h("p", {}, "What came after it never happened, as far as the worker goes. What it did outside stays done."), { action: "Revert" });
    if (sure) await this.post("revert", { type: "RevertToOplogIndex", lastOplogIndex: index }, `Reverted to entry ${index}`);
  }

  // --- Events

  follow() {
    const tell = (kind, event) => {
      if (kind === "StdOut" || kind === "StdErr") this.line(kind, event.timestamp, new TextDecoder().decode(Uint8Array.from(event.bytes)).trimEnd());
      else if (kind === "Log") this.line(event.level, event.timestamp, `${event.context ? `${event.context}: ` : ""}${event.message}`);
      else if (kind === "ClientLagged") this.note(`${event.number_of_missed_messages} events were missed`);
      else this.line(kind, event.timestamp, `${kind === "InvocationStart" ? "▶" : "■"} ${event.function || event.idempotency_key}`);
      this.soon();
    };
    this.stop = api.follow(this.path, tell, reason => this.note(`The stream has ended${reason ? `: ${reason}` : ""}.`));
  }

  line(kind, time, text) {
    this.append(h("div", { class: kind }, h("time", {}, clock(time)), text));
  }

  note(text) {
    this.append(h("div", { class: "note" }, text));
  }

  append(element) {
    const { lines } = this;
    const atEnd = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 4;
    lines.append(element);
    if (lines.childElementCount > MAX_LINES) lines.firstChild.remove();
    if (atEnd) lines.scrollTop = lines.scrollHeight;
  }

  showLive() {
    this.shown = "live";
    fill(this.place, h("div", { class: "card" }, h("div", { class: "row", style: "margin-bottom: 10px" }, h("h2", { style: "margin: 0; flex: 1" }, "What the worker says, as it happens"),
      h("button", { type: "button", onclick: () => fill(this.lines) }, "Clear")), this.lines));
    this.lines.scrollTop = this.lines.scrollHeight;
  }

  // --- Invocations

  async showInvoke() {
    this.shown = "invoke";
    const types = this.component.metadata.agentTypes;
    if (types.length) await this.showMethods(types);
    else this.showFunctions();
  }

  invokeForm(names, formOf, invoke) {
    const select = h("select", { "aria-label": "Function", style: "width: 100%" }, names.map(each => h("option", {}, each)));
    const place = h("div", {});
    const problem = h("p", { class: "problem", role: "alert" });
    const outcome = h("section", { class: "card", "aria-label": "Answer", "aria-live": "polite" }, h("p", { class: "empty" }, "The answer will be here."));
    const key = h("input", { size: 40, "aria-label": "Idempotency key", placeholder: "a new one for each call" });
    let form = null;
    const show = () => {
      form = formOf(select.selectedIndex);
      fill(place, form.element);
      fill(problem);
    };
    select.addEventListener("change", show);
    if (names.length) show();
    const submit = async event => {
      event.preventDefault();
      fill(problem);
      const button = event.target.querySelector("button.main");
      button.disabled = true;
      const began = performance.now();
      try {
        const shown = await invoke(select.selectedIndex, form.read(), key.value.trim() || crypto.randomUUID());
        fill(outcome, h("h2", {}, `Answer after ${Math.round(performance.now() - began)} ms`), shown);
      } catch (error) {
        fill(problem, error.message);
        fill(outcome, h("h2", {}, "No answer"), h("pre", { class: "value" }, error.message));
      }
      button.disabled = false;
      this.soon();
    };
    fill(this.place, h("div", { class: "split" },
      h("form", { class: "card", id: "invoke", onsubmit: submit }, h("div", { class: "field" }, h("span", { class: "label" }, "Function"), select), place,
        h("div", { class: "field" }, h("span", { class: "label" }, "Idempotency key"), key), problem,
        h("button", { class: "main", disabled: !names.length }, "Invoke and await")),
      outcome));
  }

  showFunctions() {
    const all = functionsOf(this.component);
    this.invokeForm(all.map(shortFunctionText), at => {
      const forms = all[at].parameters.map(each => ({ each, form: formFor(each.typ, each.name) }));
      const element = h("div", {}, h("p", { class: "type" }, functionText(all[at])),
        forms.map(({ each, form }) => labelled(each.name, each.typ, form.element)));
      return { element, read: () => forms.map(({ each, form }) => ({ typ: each.typ, value: form.read() })) };
    }, async (at, params, key) => {
      const query = new URLSearchParams({ function: all[at].full });
      const answer = await api.call("POST", `${this.path}/invoke-and-await?${query}`, { params }, { "idempotency-key": key });
      return typedValue(answer.result);
    });
  }

  async showMethods() {
    const agent = await api.call("GET", `/console/agents/${this.id}/${encodeURIComponent(this.name)}`);
    const type = this.component.metadata.agentTypes.find(each => each.typeName === agent.typeName);
    const methods = type?.methods ?? [];
    this.invokeForm(methods.map(shortSignature), at => {
      const form = formForSchema(methods[at].inputSchema);
      return { ...form, element: h("div", {}, h("p", { class: "type" }, signature(methods[at])), h("p", { class: "faint" }, methods[at].description), form.element) };
    }, async (at, methodParameters, key) => {
      const answer = await api.call("POST", "/v1/agents/invoke-agent", {
        appName: api.settings.application, envName: api.settings.environment, agentTypeName: agent.typeName,
        parameters: agent.parameters, phantomId: agent.phantomId, methodName: methods[at].name, methodParameters }, { "idempotency-key": key });
      return answerOf(answer.result, methods[at].outputSchema);
    });
  }

  // --- Details

  showDetails() {
    this.shown = "details";
    const { metadata } = this;
    const rows = [["worker", h("code", {}, this.name)], ["component", h("a", { href: `#/components/${this.id}` }, this.component.componentName)],
      ["created", moment(metadata.createdAt)], ["revision", String(metadata.componentRevision)], ["memory", bytes(metadata.totalLinearMemorySize)],
      ["retries", String(metadata.retryCount)], ["arguments", metadata.args.join(" ") || "none"],
      ["last error", metadata.lastError ? h("pre", { class: "value" }, metadata.lastError) : "none"]];
    const variables = Object.entries(metadata.env);
    fill(this.place, h("div", { class: "card" }, h("dl", { class: "facts" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))),
      h("div", { class: "card" }, h("h2", {}, "Updates"), metadata.updates.length
        ? h("table", {}, h("tbody", {}, metadata.updates.map(each => h("tr", {}, h("td", {}, moment(each.timestamp)), h("td", {}, each.type), h("td", {}, `to revision ${each.targetRevision}`), h("td", { class: "name" }, each.details ?? "")))))
        : h("p", { class: "faint" }, "None so far.")),
      h("div", { class: "card" }, h("h2", {}, "Environment"), variables.length
        ? h("dl", { class: "facts" }, variables.map(([name, value]) => [h("dt", { class: "mono" }, name), h("dd", { class: "mono" }, value)])) : h("p", { class: "faint" }, "No variables.")));
  }
}
