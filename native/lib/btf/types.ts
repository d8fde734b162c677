/** The kinds of BTF types, decoded. Ids are those of the BTF that a type came from; 0 is void. */

export interface BtfMember {
  /** Empty for anonymous structs and unions. */
  name: string;
  type: number;
  /** From the start of the struct. */
  bitOffset: number;
  /** 0 unless it is a bit-field. */
  bitSize: number;
}

interface Common {
  id: number;
  /** Empty when anonymous. */
  name: string;
}

export type BtfType = Common &
  (
    | { kind: "void" }
    | { kind: "int"; size: number; signed: boolean; char: boolean; bool: boolean; bits: number; bitOffset: number }
    | { kind: "ptr"; type: number }
    | { kind: "array"; element: number; index: number; count: number }
    | { kind: "struct" | "union"; size: number; members: BtfMember[] }
    | { kind: "enum"; size: number; signed: boolean; values: { name: string; value: number }[] }
    | { kind: "enum64"; size: number; signed: boolean; values: { name: string; value: bigint }[] }
    | { kind: "fwd"; union: boolean }
    | { kind: "typedef" | "volatile" | "const" | "restrict" | "type_tag"; type: number }
    | { kind: "func"; type: number; linkage: "static" | "global" | "extern" }
    | { kind: "func_proto"; type: number; parameters: { name: string; type: number }[] }
    | { kind: "var"; type: number; linkage: "static" | "global" | "extern" }
    | { kind: "datasec"; size: number; variables: { type: number; offset: number; size: number }[] }
    | { kind: "float"; size: number }
    | { kind: "decl_tag"; type: number; component: number }
  );

export type BtfKind = BtfType["kind"];
export type BtfTypeOf<K extends BtfKind> = BtfType & { kind: K };

/** By the number that BTF has for them. */
export const BTF_KINDS: readonly BtfKind[] = [
  "void",
  "int",
  "ptr",
  "array",
  "struct",
  "union",
  "enum",
  "fwd",
  "typedef",
  "volatile",
  "const",
  "restrict",
  "func",
  "func_proto",
  "var",
  "datasec",
  "float",
  "decl_tag",
  "type_tag",
  "enum64",
];
