// WIT types: how they are written, and forms for their values.
import { h } from "./elements.js";
import { parse, print } from "./exact_json.js";

const NAMES = { Str: "string", Chr: "char" };
const RANGES = {
  S8: [-(2n ** 7n), 2n ** 7n - 1n], U8: [0n, 2n ** 8n - 1n], S16: [-(2n ** 15n), 2n ** 15n - 1n], U16: [0n, 2n ** 16n - 1n],
  S32: [-(2n ** 31n), 2n ** 31n - 1n], U32: [0n, 2n ** 32n - 1n], S64: [-(2n ** 63n), 2n ** 63n - 1n], U64: [0n, 2n ** 64n - 1n],
};

/** A type as WIT writes it. */
export function typeText(type, depth = 0) {
  if (!type) return "_";
  if (depth > 3) return "…";
  const inner = part => typeText(part, depth + 1);
  switch (type.type) {
    case "List": return `list<${inner(type.inner)}>`;
    case "Option": return `option<${inner(type.inner)}>`;
    case "Tuple": return `tuple<${type.items.map(inner).join(", ")}>`;
    case "Record": return type.fields.length ? `record { ${type.fields.map(f => `${f.name}: ${inner(f.typ)}`).join(", ")} }` : "()";
    case "Variant": return `variant { ${type.cases.map(c => (c.typ ? `${c.name}(${inner(c.typ)})` : c.name)).join(", ")} }`;
    case "Enum": return `enum { ${type.cases.join(", ")} }`;
    case "Flags": return `flags { ${type.names.join(", ")} }`;
    case "Result": return type.ok || type.err ? `result<${inner(type.ok)}, ${inner(type.err)}>` : "result";
    case "Handle": return "handle";
    default: return NAMES[type.type] ?? type.type.toLowerCase();
  }
}

/** A form for a type: { element, read() }, where `read` gives the JSON or throws an Error that says what is wrong. */
export function formFor(type, label) {
  const make = FORMS[type.type] ?? (RANGES[type.type] ? whole : json);
  return make(type, label);
}

function input(attributes) {
  return h("input", { type: "text", spellcheck: "false", autocomplete: "off", ...attributes });
}

function whole(type, label) {
  const element = input({ inputmode: "numeric", "aria-label": label, placeholder: "0" });
  const [low, high] = RANGES[type.type];
  return { element, read() {
    const text = element.value.trim() || "0";
    if (!/^-?\d+$/.test(text)) throw new Error(`${label}: expected a whole number`);
    const number = BigInt(text);
    if (number < low || number > high) throw new Error(`${label}: expected ${low} to ${high}`);
    return number;
  } };
}

function fraction(type, label) {
  const element = input({ inputmode: "decimal", "aria-label": label, placeholder: "0.0" });
  return { element, read() {
    const text = element.value.trim() || "0";
    if (["NaN", "Infinity", "-Infinity"].includes(text)) return text;
    if (Number.isNaN(Number(text))) throw new Error(`${label}: expected a number`);
    return Number(text);
  } };
}

function text(type, label) {
  const element = h("textarea", { rows: 1, "aria-label": label, spellcheck: "false", style: "min-height: 34px" });
  return { element, read: () => element.value };
}

function character(type, label) {
  const element = input({ "aria-label": label, size: 4 });
  return { element, read() {
    const [first, ...more] = element.value;
    if (first === undefined || more.length) throw new Error(`${label}: expected one character`);
    return first.codePointAt(0);
  } };
}

function bool(type, label) {
  const element = input({ type: "checkbox", "aria-label": label });
  return { element, read: () => element.checked };
}

function choice(names, label) {
  return h("select", { "aria-label": label }, names.map(name => h("option", {}, name)));
}

function enumeration(type, label) {
  const element = choice(type.cases, label);
  return { element, read: () => element.value };
}

function flags(type, label) {
  const boxes = type.names.map(name => [name, input({ type: "checkbox" })]);
  const element = h("div", { class: "row", role: "group", "aria-label": label }, boxes.map(([name, box]) => h("label", {}, box, name)));
  return { element, read: () => boxes.filter(([, box]) => box.checked).map(([name]) => name) };
}

function option(type, label) {
  const inner = formFor(type.inner, label);
  const nested = type.inner.type === "Option";
  const box = input({ type: "checkbox", "aria-label": `${label} is given` });
  const show = () => { inner.element.hidden = !box.checked; };
  box.addEventListener("change", show);
  show();
  const element = h("div", { class: "row" }, h("label", {}, box, "given"), inner.element);
  return { element, read: () => (!box.checked ? null : nested ? { some: inner.read() } : inner.read()) };
}

function list(type, label) {
  const items = h("div", {});
  const forms = [];
  const add = () => {
    const form = formFor(type.inner, `${label} ${forms.length + 1}`);
    const row = h("div", { class: "row item" }, form.element,
      h("button", { type: "button", class: "quiet", title: "Remove", onclick() { forms.splice(forms.indexOf(form), 1); row.remove(); } }, "×"));
    forms.push(form);
    items.append(row);
    row.querySelector("input, textarea, select")?.focus();
  };
  const element = h("fieldset", {}, h("legend", {}, typeText(type)), items,
    h("button", { type: "button", onclick: add }, "Add an element"));
  return { element, read: () => forms.map(form => form.read()) };
}

function parts(fields, label, title) {
  const forms = fields.map(field => [field.name, formFor(field.typ, field.name)]);
  const element = h("fieldset", {}, h("legend", {}, title),
    forms.map(([name, form], at) => labelled(name, fields[at].typ, form.element)));
  return { element, forms };
}

function record(type, label) {
  const { element, forms } = parts(type.fields, label, "record");
  return { element, read: () => Object.fromEntries(forms.map(([name, form]) => [name, form.read()])) };
}

function tuple(type, label) {
  const { element, forms } = parts(type.items.map((typ, at) => ({ name: `${at + 1}`, typ })), label, "tuple");
  return { element, read: () => forms.map(([, form]) => form.read()) };
}

function cases(all, label) {
  const select = choice(all.map(each => each.name), label);
  const forms = all.map(each => (each.typ ? formFor(each.typ, each.name) : null));
  const place = h("div", {});
  const show = () => place.replaceChildren(forms[select.selectedIndex]?.element ?? "");
  select.addEventListener("change", show);
  show();
  return {
    element: h("fieldset", {}, h("legend", {}, "one of"), h("div", { class: "field" }, select), place),
    read: () => ({ [select.value]: forms[select.selectedIndex]?.read() ?? null }),
  };
}

function json(type, label) {
  const element = h("textarea", { "aria-label": label, placeholder: `JSON of ${typeText(type)}` });
  return { element, read() {
    try {
      return parse(element.value || "null");
    } catch (error) {
      throw new Error(`${label}: ${error.message}`);
    }
  } };
}

const FORMS = {
  Bool: bool, F32: fraction, F64: fraction, Str: text, Chr: character, Enum: enumeration, Flags: flags, Option: option,
  List: list, Record: record, Tuple: tuple,
  Variant: (type, label) => cases(type.cases, label),
  Result: (type, label) => cases([{ name: "ok", typ: type.ok }, { name: "err", typ: type.err }], label),
};

/** An element of a form with its name and type. */
export function labelled(name, type, element) {
  return h("div", { class: "field" }, h("span", { class: "label" }, name, h("span", { class: "type" }, typeText(type))), element);
}

/** A value with its type: what oplogs and answers hold as { typ, value }. */
export function typedValue(annotated) {
  if (!annotated) return h("p", { class: "faint" }, "nothing");
  return h("div", {}, h("div", { class: "type" }, typeText(annotated.typ)),
    h("pre", { class: "value" }, print(annotated.value, "  ")));
}
