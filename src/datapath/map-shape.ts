/**
 * What a map is like: its sizes, and its types as BTF has them. Two versions of the programs can share a map when its shape
 * is the same to both, offsets and meanings of fields included, not when only its sizes are.
 */

import { type BpfMap, type BpfObject, type Btf, btfById, type Layout, layoutOf } from "libbpf-ts";

export interface MapShape {
  readonly type: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  /** Missing where the kernel keeps no types, as for ring buffers. */
  readonly key?: Layout;
  readonly value?: Layout;
  /** `struct.member` to what its declaration tags say, for the structs of the value. */
  readonly tags: ReadonlyMap<string, string>;
}

/** Of a map in the kernel. */
export function shapeOfMap(map: BpfMap): MapShape {
  const { info } = map;
  return shapeOf(info, info.btfId === 0 ? undefined : btfById(info.btfId));
}

/** Of a map as an object wants it; sizes are to be set before. */
export function shapeOfSpec(object: BpfObject, name: string): MapShape {
  return shapeOf(object.mapSpec(name), object.btf);
}

type Sizes = Pick<MapShape, "type" | "keySize" | "valueSize" | "maxEntries"> & {
  readonly btfKeyTypeId: number;
  readonly btfValueTypeId: number;
};

function shapeOf(sizes: Sizes, btf: Btf | undefined): MapShape {
  const { type, keySize, valueSize, maxEntries, btfKeyTypeId, btfValueTypeId } = sizes;
  const shape = { type, keySize, valueSize, maxEntries };
  if (!btf || btfValueTypeId === 0) return { ...shape, tags: new Map() };
  const value = layoutOf(btf, btfValueTypeId);
  return { ...shape, key: layoutOf(btf, btfKeyTypeId), value, tags: tagsOf(btf, structsOf(value)) };
}

function structsOf(layout: Layout): Set<string> {
  if (layout.kind === "array") return structsOf(layout.element);
  if (layout.kind !== "struct" && layout.kind !== "union") return new Set();
  return new Set([layout.name, ...layout.fields.flatMap(({ layout: field }) => [...structsOf(field)])]);
}

function tagsOf(btf: Btf, structs: ReadonlySet<string>): Map<string, string> {
  const tags = new Map<string, string>();
  for (const tag of btf.types()) {
    if (tag.kind !== "decl_tag" || tag.component < 0) continue;
    const type = btf.type(tag.type);
    if (type.kind !== "struct" || !structs.has(type.name)) continue;
    tags.set(`${type.name}.${type.members[tag.component]?.name}`, tag.name);
  }
  return tags;
}

/** What is different, in words; empty when a program made for the one can use the other. */
export function shapeDifferences(seen: MapShape, wanted: MapShape): string[] {
  const differences: string[] = [];
  for (const [what, name] of sizeNames)
    if (seen[what] !== wanted[what]) differences.push(`${name} ${seen[what]}, now ${wanted[what]}`);
  if (seen.value && wanted.value && text([seen.key, seen.value]) !== text([wanted.key, wanted.value]))
    differences.push("fields");
  const placement = (shape: MapShape) => [...shape.tags].filter(([, tag]) => tag.startsWith("xgw:placement")).join();
  if (seen.value && placement(seen) !== placement(wanted)) differences.push("where entries lie");
  return differences;
}

const sizeNames = [
  ["type", "type"],
  ["keySize", "key size"],
  ["valueSize", "value size"],
  ["maxEntries", "entries"],
] as const;

/** Kinds of bytes that are the same in the memory are the same here. */
const text = (layouts: readonly (Layout | undefined)[]) =>
  JSON.stringify(layouts, (_key, value) => (typeof value === "bigint" ? String(value) : value));
