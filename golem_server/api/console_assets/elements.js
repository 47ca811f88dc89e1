// Small helpers for the page: elements, messages, questions.

/** An element; attributes beginning with `on` are listeners, children may be texts, elements, arrays or nothing. */
export function h(tag, attributes = {}, ...children) {
  const svg = ["svg", "rect", "line", "circle", "text", "title", "g", "path"].includes(tag) && attributes.svg;
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "svg" || value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "value") made.value = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return made;
}

/** The same for drawings. */
export function s(tag, attributes = {}, ...children) {
  return h(tag, { ...attributes, svg: true }, ...children);
}

/** Put these in the place of everything within an element. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter(child => child !== null && child !== undefined));
}

/** Tell something in the corner for a while. */
export function toast(text, bad = false) {
  const note = h("div", { class: bad ? "toast bad" : "toast" }, text);
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), bad ? 12000 : 4000);
}

/** Do something, and tell what went wrong. Returns whether it was done. */
export async function attempt(work, done) {
  try {
    await work();
    if (done) toast(done);
    return true;
  } catch (error) {
    toast(error.message, true);
    return false;
  }
}

/** Ask in a dialog; the answer is what `read` gives, or null. `content` are elements. */
export function ask(title, content, { action = "OK", read = () => true } = {}) {
  return new Promise(resolve => {
    const form = h("form", { method: "dialog" },
      h("h2", {}, title), content,
      h("div", { class: "row end" },
        h("button", { type: "button", onclick: () => dialog.close("") }, "Cancel"),
        h("button", { class: "main", value: "yes" }, action)));
    const dialog = h("dialog", { "aria-label": title }, form);
    dialog.addEventListener("close", () => {
      const answer = dialog.returnValue === "yes" ? read() : null;
      dialog.remove();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A moment as people read it, with milliseconds. */
export function clock(text) {
  const moment = new Date(text);
  return moment.toLocaleTimeString(undefined, { hour12: false }) + "." + String(moment.getMilliseconds()).padStart(3, "0");
}

/** A moment with its day. */
export function moment(text) {
  return `${new Date(text).toLocaleDateString()} ${clock(text)}`;
}

/** Milliseconds as people read them. */
export function duration(milliseconds) {
  if (milliseconds < 1000) return `${milliseconds} ms`;
  if (milliseconds < 120000) return `${(milliseconds / 1000).toFixed(milliseconds < 10000 ? 2 : 1)} s`;
  return milliseconds < 7200000 ? `${Math.round(milliseconds / 60000)} min` : `${(milliseconds / 3600000).toFixed(1)} h`;
}

/** Bytes as people read them. */
export function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  for (; count >= 1024 && unit < 3; unit++) count /= 1024;
  return `${count.toFixed(unit && count < 100 ? 1 : 0)} ${units[unit]}`;
}
