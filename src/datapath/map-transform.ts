/**
 * From a record as one version of the programs has it to the same record of another version. Fields go by their names, so
 * that their order, size and neighbours may change. A field that the older version did not have needs a value: padding
 * (`pad…`) is 0, and others say it with a tag, `__attribute__((btf_decl_tag("xgw:default=0")))`. Pure.
 */

import type { Layout } from "libbpf-ts";
import { XgwError } from "../errors.js";
import { littleEndian } from "./layout.js";

/** Writes the new record at an offset; what is not written there is 0 before. */
export type Transform = (from: Buffer, fromAt: number, to: Buffer, toAt: number) => void;

interface Leaf {
  readonly path: string;
  /** `struct.member`, by which tags are known. */
  readonly member: string;
  readonly offset: number;
  readonly size: number;
  /** Equal kinds mean the same. */
  readonly kind: string;
}

/** @throws XgwError naming the field for which the old record has nothing, or too much */
export function transformOf(map: string, old: Layout, now: Layout, tags: ReadonlyMap<string, string>): Transform {
  const sources = new Map(leavesOf(old, "", "", 0).map((leaf) => [leaf.path, leaf]));
  const copies: Copy[] = [];
  const widened: (readonly [Leaf, Leaf])[] = [];
  const defaults: (readonly [Leaf, bigint])[] = [];
  for (const leaf of leavesOf(now, "", "", 0)) {
    if (isPadding(leaf)) continue;
    const source = sources.get(leaf.path);
    if (source) {
      checkKinds(map, source, leaf);
      if (leaf.kind === "number" && source.size !== leaf.size) widened.push([source, leaf]);
      else copies.push({ from: source.offset, to: leaf.offset, size: Math.min(source.size, leaf.size) });
    } else defaults.push([leaf, defaultOf(map, leaf, tags)]);
  }
  const runs = merged(copies);
  return (from, fromAt, to, toAt) => {
    for (const run of runs) from.copy(to, toAt + run.to, fromAt + run.from, fromAt + run.from + run.size);
    for (const [source, leaf] of widened)
      writeNumber(
        to,
        toAt + leaf.offset,
        leaf.size,
        fitting(map, leaf, readNumber(from, fromAt + source.offset, source.size)),
      );
    for (const [leaf, value] of defaults) writeNumber(to, toAt + leaf.offset, leaf.size, value);
  };
}

function leavesOf(layout: Layout, path: string, member: string, offset: number): Leaf[] {
  switch (layout.kind) {
    case "struct":
      return layout.fields.flatMap((field) =>
        leavesOf(
          field.layout,
          path === "" ? field.name : `${path}.${field.name}`,
          `${layout.name}.${field.name}`,
          offset + field.offset,
        ),
      );
    case "array":
      return Array.from({ length: layout.count }, (_, n) =>
        leavesOf(layout.element, `${path}[${n}]`, member, offset + n * layout.element.size),
      ).flat();
    case "int":
    case "enum":
    case "bool":
      return [{ path, member, offset, size: layout.size, kind: "number" }];
    case "bytes":
      return [{ path, member, offset, size: layout.size, kind: "bytes" }];
    default:
      return [{ path, member, offset, size: layout.size, kind: JSON.stringify(layout, bigintsAsText) }];
  }
}

const bigintsAsText = (_key: string, value: unknown) => (typeof value === "bigint" ? String(value) : value);
const isPadding = ({ path }: Leaf) => /(^|\.)pad\d*(\[\d+\])?$/.test(path);

const remedy = "run `xgw teardown` with the older version, then `xgw apply`; live flows start again by the kernel";

function checkKinds(map: string, was: Leaf, now: Leaf): void {
  if (was.kind === now.kind && (was.size <= now.size || was.kind === "number")) return;
  const what = was.kind === now.kind ? `had ${was.size} bytes and has ${now.size}` : "is of another kind";
  throw new XgwError(`the map ${map} cannot be moved: its field ${now.path} ${what}`, { remedy });
}

/** A number may have less room than it had, as long as it needs no more. */
function fitting(map: string, leaf: Leaf, value: bigint): bigint {
  if (value < 1n << BigInt(8 * leaf.size)) return value;
  throw new XgwError(`the map ${map} cannot be moved: ${value} does not fit into its field ${leaf.path}`, { remedy });
}

function defaultOf(map: string, leaf: Leaf, tags: ReadonlyMap<string, string>): bigint {
  const said = /^xgw:default=(\d+)$/.exec(tags.get(leaf.member) ?? "")?.[1];
  if (said !== undefined && leaf.kind === "number") return BigInt(said);
  throw new XgwError(`the map ${map} cannot be moved: its field ${leaf.path} is new, and nothing says what it was`, {
    remedy,
  });
}

interface Copy {
  readonly from: number;
  readonly to: number;
  readonly size: number;
}

function merged(copies: readonly Copy[]): Copy[] {
  const runs: Copy[] = [];
  for (const copy of [...copies].sort((a, b) => a.to - b.to)) {
    const last = runs.at(-1);
    if (last && last.from + last.size === copy.from && last.to + last.size === copy.to)
      runs[runs.length - 1] = { ...last, size: last.size + copy.size };
    else runs.push(copy);
  }
  return runs;
}

function readNumber(bytes: Buffer, at: number, size: number): bigint {
  let value = 0n;
  for (let n = 0; n < size; n++) value = (value << 8n) | BigInt(bytes[at + (littleEndian ? size - 1 - n : n)] ?? 0);
  return value;
}

function writeNumber(bytes: Buffer, at: number, size: number, value: bigint): void {
  for (let n = 0; n < size; n++)
    bytes[at + (littleEndian ? n : size - 1 - n)] = Number((value >> BigInt(8 * n)) & 0xffn);
}
