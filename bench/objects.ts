/** The programs under test, loaded for the benchmark. */
import { fileURLToPath } from "node:url";
import { type BpfMap, BpfObject } from "libbpf-ts";

const objectPath = (name: string) => fileURLToPath(new URL(`../bpf/${name}.bpf.o`, import.meta.url));

export interface LoadOptions {
  /** By name: maps that other objects made. */
  readonly reuse?: Readonly<Record<string, BpfMap>>;
  readonly sizes?: Readonly<Record<string, number>>;
  readonly variables?: Readonly<Record<string, Buffer | number>>;
}

export function openObject(name: string): BpfObject {
  return BpfObject.open(objectPath(name));
}

/** Loads a compiled object; of reuse, sizes and variables it takes what it has. */
export function load(name: string, { reuse = {}, sizes = {}, variables = {} }: LoadOptions = {}): BpfObject {
  const object = openObject(name);
  const names = new Set(object.maps.map((map) => map.name));
  for (const { name: variable } of object.variables) {
    const value = variables[variable];
    if (value !== undefined) object.setVariable(variable, value);
  }
  for (const [map, size] of Object.entries(sizes)) if (names.has(map)) object.resizeMap(map, size);
  for (const [map, shared] of Object.entries(reuse)) if (names.has(map)) object.reuseMap(map, shared);
  return object.load();
}

/** Those maps of an object that others are to share. */
export function mapsOf(object: BpfObject): Record<string, BpfMap> {
  return Object.fromEntries(object.maps.filter((map) => !map.internal).map(({ name }) => [name, object.map(name)]));
}

export function u32(...values: number[]): Buffer {
  return Buffer.from(new Uint32Array(values).buffer);
}

export function u16(...values: number[]): Buffer {
  return Buffer.from(new Uint16Array(values).buffer);
}
