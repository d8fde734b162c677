/** The count of the kernel's neighbours on each tenant's tunnels, for `limits.neighbours`. */

import { BpfMap } from "libbpf-ts";
import { maxTenants, nobody } from "../model/desired.js";
import { readCounts } from "./counts.js";
import { u32 } from "./layout.js";
import type { Pins } from "./pins.js";

const knownMap = "neighbours";
const countsMap = "neighbour_counts";
const macsMap = "neighbour_macs";
const staleMap = "stale_neighbours";

/**
 * Forgets all, where nobody has counted for a while: what was removed meanwhile would count for ever. Those that are there
 * are known again from their next change on; permanent ones, which do not change, are told of.
 */
export function forgetNeighbours(pins: Pins): void {
  for (const name of [knownMap, macsMap, staleMap]) {
    using map = BpfMap.openPinned(pins.map(name));
    for (const key of [...map.keys()]) map.delete(key);
  }
  using counts = BpfMap.openPinned(pins.map(countsMap));
  for (let tenant = nobody; tenant < maxTenants; tenant++) counts.set(u32(tenant), Buffer.alloc(8));
}

/** Tenant id -> neighbours; undefined where there is no data path. Of all tenants under `nobody`. */
export const readNeighbourCounts = (pins: Pins): readonly number[] | undefined =>
  pins.hasMap(countsMap) ? readCounts(pins, countsMap) : undefined;
