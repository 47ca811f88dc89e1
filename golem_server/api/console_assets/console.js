// The console: which page is shown, the token, the theme, the keyboard.
import * as api from "./api.js";
import { ask, fill, h, toast } from "./elements.js";
import { componentPage, componentsPage } from "./component_view.js";
import { workerPage } from "./worker_view.js";

const main = document.getElementById("main");
const crumbs = document.getElementById("crumbs");
let leave = null;
let shown = 0;

async function show() {
  const mine = ++shown;
  leave?.();
  leave = null;
  if (!api.token.get()) return signIn();
  const [, , component, , worker] = location.hash.split("/");
  const name = worker === undefined ? undefined : decodeURIComponent(worker);
  fill(main, h("p", { class: "empty" }, "Loading…"));
  try {
    if (!api.settings) await api.start();
    await showCrumbs(component, name);
    const close = await (name !== undefined ? workerPage(main, component, name) : component ? componentPage(main, component) : componentsPage(main));
    if (mine !== shown) close?.();
    else leave = close ?? null;
  } catch (error) {
    if (error.status !== 401) fill(main, h("div", { class: "card empty", role: "alert" }, h("p", { class: "problem" }, error.message), h("button", { type: "button", onclick: show }, "Try again")));
  }
}

async function showCrumbs(component, name) {
  const parts = [h("a", { href: "#/" }, "Components")];
  if (component) {
    const { componentName } = await api.component(component);
    parts.push("/", h("a", { href: `#/components/${component}` }, componentName));
  }
  if (name !== undefined) parts.push("/", h("span", { class: "mono" }, name));
  fill(crumbs, parts);
  document.title = `${name ?? (component ? "Component" : "Components")} · golem-server`;
}

function signIn(problem = "") {
  fill(crumbs);
  const secret = h("input", { type: "password", id: "token", required: true, autocomplete: "off", "aria-label": "Token" });
  const form = h("form", { class: "card signin", async onsubmit(event) {
    event.preventDefault();
    api.token.set(secret.value.trim());
    try {
      await api.start();
      await show();
    } catch (error) {
      api.token.forget();
      signIn(error.message);
    }
  } }, h("h1", {}, "Sign in"), h("p", { class: "faint" }, "The console asks for a token once and keeps it until this tab is closed. ",
    h("code", {}, "golem-server token"), " prints one."),
  h("div", { class: "field" }, h("span", { class: "label" }, "Token"), secret), problem ? h("p", { class: "problem", role: "alert" }, problem) : null,
  h("button", { class: "main" }, "Sign in"));
  fill(main, form);
  secret.focus();
}

// --- Light and dark

const THEMES = ["", "light", "dark"];

function applyTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  document.getElementById("theme").textContent = { "": "Auto", light: "Light", dark: "Dark" }[theme];
}

function nextTheme() {
  const theme = THEMES[(THEMES.indexOf(localStorage.getItem("golem-theme") ?? "") + 1) % THEMES.length];
  localStorage.setItem("golem-theme", theme);
  applyTheme(theme);
}

// --- Keyboard

const KEYS = [["?", "this list"], ["g", "all components"], ["u", "one page up"], ["1 to 4", "the tabs of a page"], ["/", "search"],
  ["j k ↓ ↑", "from entry to entry, in the timeline"], ["f", "fork from the chosen entry"], ["r", "revert to the chosen entry"], ["t", "light or dark"]];

function showKeys() {
  ask("Keyboard", h("dl", { class: "facts" }, KEYS.map(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])), { action: "Close" });
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
  const tabs = document.querySelectorAll("[role=tab]");
  const actions = {
    "?": showKeys,
    g: () => { location.hash = "#/"; },
    u: () => { const links = crumbs.querySelectorAll("a"); links[links.length - (crumbs.lastElementChild?.tagName === "A" ? 2 : 1)]?.click(); },
    "/": () => document.querySelector("input[type=search]")?.focus(),
    f: () => document.querySelector("[data-action=fork]")?.click(),
    r: () => document.querySelector("[data-action=revert]")?.click(),
    j: () => document.querySelector(".entries")?.focus(),
    t: nextTheme,
  };
  const tab = /^[1-9]$/.test(event.key) ? tabs[Number(event.key) - 1] : null;
  if (tab) {
    tab.focus();
    tab.click();
  } else if (actions[event.key]) {
    event.preventDefault();
    actions[event.key]();
  }
}

applyTheme(localStorage.getItem("golem-theme") ?? "");
document.getElementById("theme").addEventListener("click", nextTheme);
document.getElementById("help").addEventListener("click", showKeys);
document.getElementById("leave").addEventListener("click", () => {
  api.token.forget();
  show();
});
document.addEventListener("keydown", pressed);
document.addEventListener("signed-out", () => {
  if (!document.querySelector(".signin")) {
    api.token.forget();
    toast("The token is not accepted", true);
    show();
  }
});
window.addEventListener("hashchange", show);
show();
