/** Generations: one map write, and every flow of a tenant is decided anew by the kernel. */

import { setTimeout as sleep } from "node:timers/promises";
import { BpfMap } from "libbpf-ts";
import { readU32, u32 } from "./layout.js";
import type { Pins } from "./pins.js";

/** Longer than a packet stays between the kernel's decision and the learner, which reads the generation at the end. */
const settleMs = 20;

/**
 * Bumped twice: a packet that the old rules had let through, and that was on its way out at the first bump, may have
 * taught a flow with the new number.
 */
export async function bumpGenerations(pins: Pins, tenants: readonly number[]): Promise<void> {
  if (tenants.length === 0) return;
  using map = BpfMap.openPinned(pins.map("generations"));
  const bump = () => {
    for (const tenant of tenants) {
      const value = map.get(u32(tenant));
      map.set(u32(tenant), u32(((value ? readU32(value, 0) : 0) + 1) >>> 0));
    }
  };
  bump();
  await sleep(settleMs);
  bump();
}
