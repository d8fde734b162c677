/**
 * Codecs: bytes to values and back. Composed of the functions here, by hand, from a layout, or by generated source.
 *
 * Encoding: fields that are missing are zero; fields that the struct does not have are refused; numbers must fit. Of a union
 * one member is enough; if there are several they must agree (as they do in what was decoded).
 */
import type { Codec } from "./codec-base.js";
import { type Anonymous, type AnyFields, array, composite } from "./codec-composite.js";
import { bits, int } from "./codec-integer.js";
import { bool, bytes, enumeration, float } from "./codec-scalar.js";
import type { Layout } from "./layout.js";

export type { Codec, CodecValue } from "./codec-base.js";
export { type Anonymous, anonymous, array, type Fields, struct, union } from "./codec-composite.js";
export { bits, int } from "./codec-integer.js";
export { bool, bytes, enumeration, float } from "./codec-scalar.js";

/** All property names that a struct's or union's layout gives to its objects. */
export function fieldNames(layout: Layout): string[] {
  if (layout.kind !== "struct" && layout.kind !== "union") return [];
  return layout.fields.flatMap((field) => (field.name === "" ? fieldNames(field.layout) : [field.name]));
}

/** The codec of a layout. */
export function codecOf(layout: Layout): Codec<unknown> {
  return build(layout) as Codec<unknown>;
}

function build(layout: Layout): unknown {
  switch (layout.kind) {
    case "int":
      return int(layout.size, layout.signed, layout.order);
    case "bool":
      return bool(layout.size, layout.order);
    case "float":
      return float(layout.size as 4 | 8, layout.order);
    case "enum":
      return enumeration(layout.size, layout.signed, layout.order, Object.fromEntries(layout.values));
    case "bytes":
      return bytes(layout.size);
    case "array":
      return array(layout.count, codecOf(layout.element));
    case "bits":
      return bits(layout.size, layout.signed, layout.order, layout.shift, layout.bits, layout.wide);
    case "struct":
    case "union": {
      const named = layout.fields.filter((field) => field.name !== "");
      const fields = Object.fromEntries(named.map((f) => [f.name, [f.offset, codecOf(f.layout)]]));
      const inner = layout.fields
        .filter((field) => field.name === "")
        .map(
          (f): Anonymous => ({
            offset: f.offset,
            codec: codecOf(f.layout) as unknown as Codec<never>,
            names: fieldNames(f.layout),
          }),
        );
      return composite(layout.size, fields as unknown as AnyFields, inner, layout.kind === "union");
    }
  }
}
