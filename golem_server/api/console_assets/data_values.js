// What agents take and give: tuples or choices of elements, each a value, a text or bytes.
import { bytes, h } from "./elements.js";
import { formFor, labelled, typedValue, typeText } from "./types.js";

/** A form for a schema: { element, read() }, where `read` gives the JSON of a data value. */
export function formForSchema(schema) {
  return schema.type === "Multimodal" ? multimodal(schema) : tuple(schema);
}

function tuple(schema) {
  const forms = schema.elements.map(each => ({ ...elementForm(each.schema, each.name), name: each.name }));
  const element = h("div", {}, forms.map(form => labelled(form.name, form.type, form.element)));
  return { element, read: () => ({ type: "Tuple", elements: forms.map(form => form.read()) }) };
}

function multimodal(schema) {
  const items = h("div", {});
  const forms = [];
  const add = each => {
    const form = { ...elementForm(each.schema, each.name), name: each.name };
    forms.push(form);
    items.append(labelled(form.name, form.type, form.element));
  };
  const element = h("div", {}, items,
    h("div", { class: "row" }, schema.elements.map(each => h("button", { type: "button", onclick: () => add(each) }, `Add ${each.name}`))));
  return { element, read: () => ({ type: "Multimodal", elements: forms.map(form => ({ name: form.name, value: form.read() })) }) };
}

function elementForm(schema, label) {
  if (schema.type === "ComponentModel") {
    const form = formFor(schema.elementType, label);
    return { type: schema.elementType, element: form.element, read: () => ({ type: "ComponentModel", value: form.read() }) };
  }
  if (schema.type === "UnstructuredText") {
    const text = h("textarea", { "aria-label": label });
    return { type: { type: "text" }, element: text,
      read: () => ({ type: "UnstructuredText", value: { type: "Inline", data: text.value, textType: null } }) };
  }
  const file = h("input", { type: "file", "aria-label": label });
  let content = [], mime = "application/octet-stream";
  file.addEventListener("change", async () => {
    const chosen = file.files[0];
    content = chosen ? [...new Uint8Array(await chosen.arrayBuffer())] : [];
    mime = chosen?.type || mime;
  });
  return { type: { type: "binary" }, element: file,
    read: () => ({ type: "UnstructuredBinary", value: { type: "Inline", data: content, binaryType: { mimeType: mime } } }) };
}

/** A data value as oplogs hold it, with the types of its elements. */
export function typedDataValue(data) {
  if (!data || !data.elements?.length) return h("p", { class: "faint" }, "nothing");
  return h("div", {}, data.elements.map(each => {
    const element = data.type === "Multimodal" ? each.value : each;
    const name = data.type === "Multimodal" ? h("div", { class: "faint" }, each.name) : null;
    return h("div", {}, name, typedElement(element));
  }));
}

function typedElement(element) {
  if (element.type === "ComponentModel") return typedValue(element.value);
  const inner = element.value;
  const kind = element.type === "UnstructuredText" ? "text" : "binary";
  if (inner.type === "Url") return h("div", {}, h("div", { class: "type" }, `${kind} at a URL`), h("pre", { class: "value" }, inner.value));
  const shown = kind === "text" ? inner.data : bytes(inner.data.length);
  const more = inner.textType?.languageCode ?? inner.binaryType?.mimeType ?? "";
  return h("div", {}, h("div", { class: "type" }, [kind, more].filter(Boolean).join(" ")), h("pre", { class: "value" }, shown));
}

/** The answer of a method: its values by the schema of its output. */
export function answerOf(data, schema) {
  const types = schema?.elements ?? [];
  return typedDataValue(data && {
    ...data,
    elements: data.elements.map((each, at) => (each.type === "ComponentModel"
      ? { ...each, value: { typ: types[at]?.schema.elementType, value: each.value } } : each)),
  });
}

const KINDS = { UnstructuredText: "text", UnstructuredBinary: "binary" };
const elementText = each => (each.schema.elementType ? typeText(each.schema.elementType) : KINDS[each.schema.type] ?? each.schema.type);

/** A method as people read it, with its types. */
export function signature(method) {
  const inputs = (method.inputSchema?.elements ?? []).map(each => `${each.name}: ${elementText(each)}`);
  const outputs = (method.outputSchema?.elements ?? []).map(elementText);
  return `${method.name}(${inputs.join(", ")})${outputs.length ? ` → ${outputs.join(", ")}` : ""}`;
}

/** The same without types. */
export function shortSignature(method) {
  return `${method.name}(${(method.inputSchema?.elements ?? []).map(each => each.name).join(", ")})`;
}
