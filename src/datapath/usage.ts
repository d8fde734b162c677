/** What each tenant has taken of what all share, and what it did not get: the TypeScript side of bpf/lib/usage.h. */

import { BpfMap } from "libbpf-ts";
import { nobody, ruleSlots } from "../model/desired.js";
import { type Limits, type Resource, resources } from "../model/shares.js";
import { countBytes, readCounts } from "./counts.js";
import { flowWays } from "./flow-table.js";
import { readS64, readU32, u32 } from "./layout.js";
import type { Pins } from "./pins.js";

/** Tables of which each tenant's places are counted, by the first part of their maps' names. */
export type Table = "flow" | "encap" | "rule";

/** Those that the daemon gives places back of. */
type Returning = Exclude<Table, "flow">;

/** struct xgw_losses: times. */
export interface Losses {
  readonly flowsEvicted: number;
  readonly flowsRefused: number;
  readonly templatesRefused: number;
  readonly rulesRefused: number;
  readonly eventsLost: number;
}

/** Places in use by these tenants, of `nobody` by all together; of a table that is not there, none are. */
export function readUsage(pins: Pins, table: Table, tenants: readonly number[]): Map<number, number> {
  if (!pins.hasMap(`${table}_usage`)) return new Map();
  const taken = readOf(pins, `${table}_usage`, tenants);
  const returned = table === "flow" ? new Map<number, number>() : readOf(pins, `${table}_returned`, tenants);
  return new Map([...taken].map(([tenant, count]) => [tenant, Math.max(0, count - (returned.get(tenant) ?? 0))]));
}

/** More are read faster with all the others. */
const lookUpsMax = 64;

function readOf(pins: Pins, name: string, tenants: readonly number[]): Map<number, number> {
  if (tenants.length > lookUpsMax) {
    const all = readCounts(pins, name);
    return new Map(tenants.map((tenant) => [tenant, all[tenant] ?? 0]));
  }
  using map = BpfMap.openPinned(pins.map(name));
  return new Map(tenants.map((tenant) => [tenant, readS64(map.get(u32(tenant)) ?? countBytes(0))]));
}

/** Places that a table has; 0 where it is not there. */
export function capacityOf(pins: Pins, table: Table): number {
  if (table === "rule") return ruleSlots;
  const name = table === "flow" ? "flows" : "encaps";
  if (!pins.hasMap(name)) return 0;
  using map = BpfMap.openPinned(pins.map(name));
  return table === "flow" ? map.maxEntries * flowWays : map.maxEntries;
}

/** What the programs know a tenant's limit to be; 0: there is none. */
export function readLimit(pins: Pins, tenant: number, resource: Resource): number {
  if (!pins.hasMap("limits")) return 0;
  using limits = BpfMap.openPinned(pins.map("limits"));
  const at = (id: number) =>
    readU32(limits.get(u32(id)) ?? Buffer.alloc(limits.valueSize), resources.indexOf(resource));
  return at(tenant) || at(nobody);
}

/** What the programs know the limits of tenants to be, by id; 0: there is none. */
export function readLimits(pins: Pins, tenants: readonly number[]): Map<number, Limits> {
  if (!pins.hasMap("limits")) return new Map();
  using map = BpfMap.openPinned(pins.map("limits"));
  const all = tenants.length > lookUpsMax ? map.getBatch().values : undefined;
  const read = (id: number): Buffer =>
    all?.subarray(id * map.valueStride, (id + 1) * map.valueStride) ?? map.get(u32(id)) ?? Buffer.alloc(map.valueSize);
  const ofAll = read(nobody);
  return new Map(
    tenants.map((tenant) => {
      const own = read(tenant);
      return [
        tenant,
        Object.fromEntries(
          resources.map((name, at) => [name, readU32(own, at) || readU32(ofAll, at)]),
        ) as unknown as Limits,
      ];
    }),
  );
}

/** By tenant id. */
export function readLosses(pins: Pins, tenants: readonly number[]): Map<number, Losses> {
  if (!pins.hasMap("losses")) return new Map();
  using map = BpfMap.openPinned(pins.map("losses"));
  const all = tenants.length > lookUpsMax ? map.getBatch().values : undefined;
  return new Map(
    tenants.map((tenant) => {
      const at = tenant * map.valueStride;
      const value = all?.subarray(at, at + map.valueSize) ?? map.get(u32(tenant)) ?? Buffer.alloc(map.valueSize);
      const [flowsEvicted = 0, flowsRefused = 0, templatesRefused = 0, rulesRefused = 0, eventsLost = 0] = Array.from(
        { length: 5 },
        (_, field) => readS64(value, field * 8),
      );
      return [tenant, { flowsEvicted, flowsRefused, templatesRefused, rulesRefused, eventsLost }];
    }),
  );
}

/** Of tenants whose ids come to others. */
export function forgetLosses(pins: Pins, tenants: ReadonlySet<number>): void {
  if (!pins.hasMap("losses")) return;
  using map = BpfMap.openPinned(pins.map("losses"));
  for (const tenant of tenants) map.set(u32(tenant), Buffer.alloc(map.valueSize));
}

/** What was in use, and what programs had taken by then. */
export interface Counted {
  readonly table: Returning;
  readonly taken: readonly number[];
  readonly places: ReadonlyMap<number, number>;
}

/**
 * Counts the places of a table. Programs go on taking some meanwhile.
 *
 * @param countPlaces by tenant id
 * @returns undefined where nobody counts
 */
export function countUsage(
  pins: Pins,
  table: Returning,
  countPlaces: () => ReadonlyMap<number, number>,
): Counted | undefined {
  if (!pins.hasMap(`${table}_usage`) || !pins.hasMap(`${table}_returned`)) return undefined;
  const taken = readCounts(pins, `${table}_usage`);
  return { table, taken, places: countPlaces() };
}

/**
 * Makes the counts right by what was found: after places were given back, and where a version was that did not count them.
 * To be called longer after the count than a program runs: who had taken a place by then has counted it now. A tenant that
 * has taken another one meanwhile keeps its count until the next time.
 */
export function settleUsage(pins: Pins, counted: Counted | undefined): void {
  if (!counted) return;
  const { table, taken, places } = counted;
  const now = readCounts(pins, `${table}_usage`);
  const before = readCounts(pins, `${table}_returned`);
  using returned = BpfMap.openPinned(pins.map(`${table}_returned`));
  const all = [...places.values()].reduce((sum, count) => sum + count, 0);
  for (const [tenant, count] of taken.entries()) {
    const right = count - (tenant === nobody ? all : (places.get(tenant) ?? 0));
    if (now[tenant] === count && before[tenant] !== right) returned.set(u32(tenant), countBytes(right));
  }
}
