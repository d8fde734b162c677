/** The nft command line: one transaction in, one table's contents out. */

import { crashPoint } from "../crash.js";
import { formatAddress, parseAddress, rangeOf } from "../model/ipv4.js";
import { run } from "./spawn.js";

/** A value in nft's JSON: a number, a string, or an expression such as `{ "concat": [...] }`. */
export type NftValue =
  | number
  | string
  | { readonly concat: readonly NftValue[] }
  | { readonly range: readonly [NftValue, NftValue] }
  | { readonly prefix: { readonly addr: string; readonly len: number } }
  | { readonly jump: { readonly target: string } }
  | { readonly elem: { readonly val: NftValue; readonly counter?: { packets: number; bytes: number } } };

/** A set or map; a map's elements are pairs. */
export interface NftSet {
  readonly name: string;
  readonly elem?: readonly (NftValue | readonly [NftValue, NftValue])[];
}

export interface NftTable {
  /** Number of rules by chain. */
  readonly chains: ReadonlyMap<string, number>;
  readonly sets: readonly NftSet[];
  /** Name of the flowtable by device. */
  readonly flowtableDevices: ReadonlyMap<string, string>;
}

/** Runs a script as one transaction: all of it or nothing. */
export async function applyScript(script: string): Promise<void> {
  if (script === "") return;
  await run("nft", ["-f", "-"], { input: script });
  crashPoint("nft transaction");
}

/** The `ip` table of that name with its elements in numbers, or undefined when there is none. */
export async function readTable(name: string): Promise<NftTable | undefined> {
  const json = await list("table", "ip", name);
  return json === undefined ? undefined : parseTable(json);
}

/** A set of the `ip` table, with no look at its others, which may be large; undefined when there is none. */
export async function readSet(table: string, name: string): Promise<NftSet | undefined> {
  const json = await list("set", "ip", table, name);
  return json === undefined ? undefined : parseTable(json).sets[0];
}

/** JSON; undefined when there is no such thing. */
async function list(...what: readonly string[]): Promise<string | undefined> {
  const { code, stdout, stderr } = await run("nft", ["-n", "-j", "list", ...what], { okCodes: [1] });
  if (code !== 1) return stdout;
  if (/No such file or directory/.test(stderr)) return undefined;
  await run("nft", ["list", "tables"]); // fails with the reason, such as a missing permission
  return undefined;
}

export function parseTable(json: string): NftTable {
  const objects = (JSON.parse(json) as { nftables: Record<string, never>[] }).nftables;
  const sets: NftSet[] = [];
  const chains = new Map<string, number>();
  const flowtableDevices = new Map<string, string>();
  for (const object of objects) {
    const { chain, rule, set, map, flowtable } = object as {
      chain?: { name: string };
      rule?: { chain: string };
      set?: NftSet;
      map?: NftSet;
      flowtable?: { name: string; dev?: string | string[] };
    };
    if (chain) chains.set(chain.name, 0);
    if (rule) chains.set(rule.chain, (chains.get(rule.chain) ?? 0) + 1);
    if (set) sets.push(set);
    if (map) sets.push(map);
    for (const device of [flowtable?.dev ?? []].flat()) flowtableDevices.set(device, flowtable?.name ?? "");
  }
  return { chains, sets, flowtableDevices };
}

/** An element's key or value as nft reads it; prefixes as ranges, so that equal elements have equal text. */
export function formatValue(value: NftValue): string {
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return value;
  if ("concat" in value) return value.concat.map(formatValue).join(" . ");
  if ("range" in value) return formatRange(formatValue(value.range[0]), formatValue(value.range[1]));
  if ("jump" in value) return value.jump.target;
  if ("prefix" in value) return formatPrefix(value.prefix.addr, value.prefix.len);
  return formatValue(value.elem.val);
}

/** `a-b`, or `a` when both are the same. */
export function formatRange(from: string | number, to: string | number): string {
  return String(from) === String(to) ? String(from) : `${from}-${to}`;
}

function formatPrefix(address: string, length: number): string {
  const range = rangeOf({ address: parseAddress(address) ?? 0, length });
  return formatRange(formatAddress(range.from), formatAddress(range.to));
}
