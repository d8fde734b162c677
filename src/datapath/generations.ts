/**
 * Generations: one map write, and every flow of a tenant is decided anew by the kernel, and whoever was refused is looked
 * up anew. The slot of nobody is for keys that no tenant has.
 */

import { BpfMap } from "libbpf-ts";
import { crashPoint } from "../crash.js";
import { readU32, u32 } from "./layout.js";
import type { Pins } from "./pins.js";

/**
 * Odd while a tenant is being changed, even when it is settled. A change that dies in between leaves an odd number, which
 * the next plan sees: otherwise it would find everything as it should be, and flows of before the change would live on.
 */
const isOdd = (generation: number) => generation % 2 === 1;

/** Before a change: no flow learned so far is followed any more. */
export function openGenerations(pins: Pins, tenants: readonly number[]): void {
  if (tenants.length > 0 && pins.hasMap("generations")) moveOn(pins, tenants, (generation) => !isOdd(generation));
}

/**
 * After it. A packet that has come in before, and is on its way out, however long that takes, teaches nothing any more: it
 * bears the number of that time (bpf/lib/entrance.h).
 */
export function closeGenerations(pins: Pins, tenants: readonly number[]): void {
  if (tenants.length === 0) return;
  openGenerations(pins, tenants);
  moveOn(pins, tenants, isOdd);
}

/** Those of the tenants whose last change did not come to its end. */
export function unsettledTenants(pins: Pins, tenants: readonly number[]): Set<number> {
  if (!pins.hasMap("generations")) return new Set();
  using map = BpfMap.openPinned(pins.map("generations"));
  return new Set(tenants.filter((tenant) => isOdd(read(map, tenant))));
}

/** Tenant id to its generation. */
export function readGenerations(pins: Pins, tenants: readonly number[]): Map<number, number> {
  if (!pins.hasMap("generations")) return new Map();
  using map = BpfMap.openPinned(pins.map("generations"));
  return new Map(tenants.map((tenant) => [tenant, read(map, tenant)]));
}

function moveOn(pins: Pins, tenants: readonly number[], which: (generation: number) => boolean): void {
  for (const path of pins.mapPaths("generations")) {
    using map = BpfMap.openPinned(path);
    for (const tenant of tenants) {
      const generation = read(map, tenant);
      if (which(generation)) map.set(u32(tenant), u32((generation + 1) >>> 0));
      crashPoint(`generation of tenant ${tenant}`);
    }
  }
}

function read(map: BpfMap, tenant: number): number {
  const value = map.get(u32(tenant));
  return value ? readU32(value, 0) : 0;
}
