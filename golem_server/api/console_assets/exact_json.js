// JSON whose integers stay exact: those that a number cannot hold are BigInts, in and out.

/** Read a text. */
export function parse(text) {
  return JSON.parse(text, (_key, value, context) => {
    if (typeof value !== "number" || Number.isSafeInteger(value) || context === undefined) return value;
    return /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
  });
}

/** Write a value; with `indent` on several lines. */
export function print(value, indent = "", inner = "") {
  if (typeof value === "bigint") return value.toString();
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  const list = Array.isArray(value);
  const parts = list
    ? value.map(item => print(item, indent, inner + indent))
    : Object.entries(value).filter(([, item]) => item !== undefined)
      .map(([key, item]) => `${JSON.stringify(key)}:${indent && " "}${print(item, indent, inner + indent)}`);
  const [open, close] = list ? "[]" : "{}";
  if (!parts.length) return open + close;
  const flat = open + parts.join(indent ? ", " : ",") + close;
  if (!indent || (flat.length < 72 && !flat.includes("\n"))) return flat;
  return `${open}\n${inner + indent}${parts.join(`,\n${inner + indent}`)}\n${inner}${close}`;
}
