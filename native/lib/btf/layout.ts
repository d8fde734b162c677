/**
 * A type's layout: how its bytes become a value, as plain data. It is made from BTF (here), and turned into a codec
 * (codec.ts) or into TypeScript source (gen/).
 *
 * Byte order. A number is in the machine's order, unless
 * - its type goes through a typedef `__be16`, `__be32`, `__be64` (or `__le…`), as the kernel's headers have them;
 * - its struct member has the declaration tag "be" or "le": `__attribute__((btf_decl_tag("be")))`;
 * - the caller says so, by the member's path ("outer.port"), see {@link LayoutOptions}.
 */
import { invalid } from "../error.js";
import type { Btf } from "./btf.js";
import type { BtfMember, BtfTypeOf } from "./types.js";

export type ByteOrder = "be" | "le";

export interface LayoutOptions {
  /** Byte orders by the path of a member ("port", "outer.port"), or "" for the type itself. They win over tags. */
  byteOrder?: Readonly<Record<string, ByteOrder>>;
}

export interface FieldLayout {
  /** Empty for an anonymous struct or union: its fields are the parent's. */
  name: string;
  /** Bytes from the start of the struct. */
  offset: number;
  layout: Layout;
}

export type Layout =
  /** number up to 4 bytes, bigint above. */
  | { kind: "int"; size: number; signed: boolean; order: ByteOrder }
  | { kind: "bool"; size: number; order: ByteOrder }
  | { kind: "float"; size: number; order: ByteOrder }
  /** Names where they are known, numbers where not. */
  | { kind: "enum"; size: number; signed: boolean; order: ByteOrder; name: string; values: [string, bigint][] }
  /** A Buffer that is a view. */
  | { kind: "bytes"; size: number }
  | { kind: "array"; size: number; count: number; element: Layout }
  /** A bit-field within `size` bytes: shifted by `shift` from the lowest bit. */
  | { kind: "bits"; size: number; signed: boolean; order: ByteOrder; shift: number; bits: number; wide: boolean }
  | { kind: "struct" | "union"; size: number; name: string; fields: FieldLayout[] };

interface Context {
  btf: Btf;
  host: ByteOrder;
  options: LayoutOptions;
  /** "struct id:member index" → order, from declaration tags. */
  tags: Map<string, ByteOrder>;
}

/** The layout of a type. @throws BpfError EINVAL for types that have no values (functions, forward declarations). */
export function layoutOf(btf: Btf, typeId: number, options: LayoutOptions = {}): Layout {
  const host = btf.endianness === "LE" ? "le" : "be";
  const context: Context = { btf, host, options, tags: orderTags(btf) };
  return layout(context, typeId, "", undefined);
}

function layout(context: Context, id: number, path: string, tagged: ByteOrder | undefined): Layout {
  const { btf } = context;
  const type = btf.resolve(id);
  const order = context.options.byteOrder?.[path] ?? tagged ?? typedefOrder(btf, id) ?? context.host;
  switch (type.kind) {
    case "int":
      if (type.bool) return { kind: "bool", size: type.size, order };
      return { kind: "int", size: type.size, signed: type.signed, order };
    case "ptr":
      return { kind: "int", size: 8, signed: false, order };
    case "float":
      if (type.size !== 4 && type.size !== 8) return { kind: "bytes", size: type.size };
      return { kind: "float", size: type.size, order };
    case "enum":
    case "enum64":
      return {
        kind: "enum",
        name: type.name,
        size: type.size,
        signed: type.signed,
        order,
        values: type.values.map(({ name, value }) => [name, BigInt(value)]),
      };
    case "array": {
      const element = btf.resolve(type.element);
      const bytes = element.kind === "int" && element.size === 1 && !element.bool;
      if (bytes) return { kind: "bytes", size: type.count };
      const inner = layout(context, type.element, path, tagged);
      return { kind: "array", size: type.count * inner.size, count: type.count, element: inner };
    }
    case "struct":
    case "union":
      return {
        kind: type.kind,
        name: type.name,
        size: type.size,
        fields: fields(context, type, path),
      };
    default:
      throw invalid("make codec for", type.name || `type ${id}`, `a ${type.kind} has no values`);
  }
}

function fields(context: Context, type: BtfTypeOf<"struct" | "union">, path: string): FieldLayout[] {
  return type.members.flatMap((member, index): FieldLayout[] => {
    const name = member.name;
    const memberPath = name === "" ? path : path === "" ? name : `${path}.${name}`;
    const tagged = context.tags.get(`${type.id}:${index}`);
    if (member.bitSize !== 0) {
      // An unnamed bit-field is padding.
      return name === "" ? [] : [bitField(context, member, memberPath, tagged)];
    }
    return [{ name, offset: member.bitOffset / 8, layout: layout(context, member.type, memberPath, tagged) }];
  });
}

/**
 * A bit-field lies in as few bytes as hold all of it. Compilers number bits from the lowest up on little-endian machines, and
 * from the highest down on big-endian ones.
 */
function bitField(context: Context, member: BtfMember, path: string, tagged: ByteOrder | undefined): FieldLayout {
  const type = context.btf.resolve(member.type);
  const size = context.btf.sizeOf(member.type);
  const signed = (type.kind === "int" || type.kind === "enum" || type.kind === "enum64") && type.signed;
  const order = context.options.byteOrder?.[path] ?? tagged ?? context.host;
  const offset = Math.floor(member.bitOffset / 8);
  const bytes = Math.ceil((member.bitOffset + member.bitSize) / 8) - offset;
  const low = member.bitOffset - offset * 8;
  const shift = context.host === "le" ? low : bytes * 8 - low - member.bitSize;
  return {
    name: member.name,
    offset,
    layout: { kind: "bits", size: bytes, signed, order, shift, bits: member.bitSize, wide: size > 4 },
  };
}

/** The order that a typedef on the way to the type says. */
function typedefOrder(btf: Btf, id: number): ByteOrder | undefined {
  for (let type = btf.type(id); ; type = btf.type(type.type)) {
    switch (type.kind) {
      case "typedef": {
        const prefix = /^__(be|le)(16|32|64)$/.exec(type.name)?.[1];
        if (prefix === "be" || prefix === "le") return prefix;
        break;
      }
      case "volatile":
      case "const":
      case "restrict":
        break;
      case "type_tag":
        if (type.name === "be" || type.name === "le") return type.name;
        break;
      default:
        return undefined;
    }
  }
}

const tagsOf = new WeakMap<Btf, Map<string, ByteOrder>>();

function orderTags(btf: Btf): Map<string, ByteOrder> {
  let tags = tagsOf.get(btf);
  if (tags === undefined) {
    tags = new Map();
    for (const type of btf.types()) {
      if (type.kind !== "decl_tag" || type.component < 0) continue;
      if (type.name === "be" || type.name === "le") tags.set(`${type.type}:${type.component}`, type.name);
    }
    tagsOf.set(btf, tags);
  }
  return tags;
}
