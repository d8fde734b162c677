/** The count of the kernel's neighbours on each tenant's tunnels, for `limits.neighbours`. */

import { BpfMap } from "libbpf-ts";
import { maxTenants, nobody } from "../model/desired.js";
import { readS64, u32 } from "./layout.js";
import type { Pins } from "./pins.js";

const knownMap = "neighbours";
const countsMap = "neighbour_counts";

/**
 * Forgets all, where nobody has counted for a while: what was removed meanwhile would count for ever. Those that are there
 * are known again from their next change on; permanent ones, which do not change, are told of.
 */
export function forgetNeighbours(pins: Pins): void {
  using known = BpfMap.openPinned(pins.map(knownMap));
  for (const key of [...known.keys()]) known.delete(key);
  using counts = BpfMap.openPinned(pins.map(countsMap));
  for (let tenant = nobody; tenant < maxTenants; tenant++) counts.set(u32(tenant), Buffer.alloc(8));
}

/** Tenant id -> neighbours; undefined while nobody counts. Of all tenants under `nobody`. */
export function readNeighbourCounts(pins: Pins): readonly number[] | undefined {
  if (!pins.hasMap(countsMap)) return undefined;
  const counts: number[] = [];
  using map = BpfMap.openPinned(pins.map(countsMap));
  for (const { values, count } of map.batches())
    for (let at = 0; at < count; at++) counts.push(Number(readS64(values, at * 8)));
  return counts;
}
