/** Header templates that no flow leads to any more give their places back, lest the table fills up over the years. */

import { setTimeout as sleep } from "node:timers/promises";
import { BpfMap } from "libbpf-ts";
import { nobody, templatePool } from "../model/desired.js";
import { bucketsAtOnce, flowOffsets, flowsIn } from "./flow-table.js";
import { readU16, readU32, u32 } from "./layout.js";
import type { Pins } from "./pins.js";
import { countUsage, readLimit, readUsage, settleUsage } from "./usage.js";

/** Enum xgw_encap_state. */
export const templateStates = { free: 0, writing: 1, ready: 2, retired: 3, left: 4 } as const;

/** Longer than a program runs: what it had found before is used by then. */
const settleMs = 20;
/** Share of what a tenant may have that is in use before anything is done; or all that is anybody's. */
const fullEnough = 0.5;
/** Offset in struct xgw_encap. */
const tenantWord = 6;

/**
 * Templates that no flow of a tenant's present generation leads to are retired: no flow finds them, and a packet of a flow
 * that has just been learned with one goes to the kernel. After a moment the flows are looked at again, and only what has
 * still none is free for others. The caller holds the lock: two of these at once would write to places that the other has
 * given back.
 *
 * @param tenants ids of those that may have templates now that lead nowhere any more
 * @param share of what one of the tenants may have that has to be in use; 0: it is done anyhow
 * @returns how many places were given back
 */
export async function reclaimTemplates(pins: Pins, tenants: readonly number[], share = fullEnough): Promise<number> {
  if (!pins.hasMap("encaps_taken") || !isFullEnough(pins, tenants, share)) return 0;
  using encaps = BpfMap.openPinned(pins.map("encaps"));
  using taken = BpfMap.openPinned(pins.map("encaps_taken"));
  const places = takenIn(taken);
  const present = templatesIn(encaps, places);
  const inUse = templatesInUse(pins);
  const retired = new Map<number, { readonly template: Buffer; readonly was: number }>();
  for (const [id, template] of present) {
    const state = readU32(template, 0);
    const was = state === templateStates.left ? state : templateStates.ready; // if retired, a run was cut short
    if (!inUse.has(id)) retired.set(id, { template: setState(encaps, id, template, templateStates.retired), was });
    else if (state === templateStates.retired) setState(encaps, id, template, was);
  }
  if (retired.size === 0) return 0;
  await sleep(settleMs);
  const usedAfterAll = templatesInUse(pins);
  let freed = 0;
  for (const [id, { template, was }] of retired) {
    if (usedAfterAll.has(id)) setState(encaps, id, template, was);
    else {
      taken.set(u32(id), u32(0));
      freed++;
    }
  }
  await settleTemplates(pins);
  return freed;
}

function isFullEnough(pins: Pins, tenants: readonly number[], share: number): boolean {
  const usages = readUsage(pins, "encap", [nobody, ...tenants]);
  const used = (tenant: number) => usages.get(tenant) ?? 0;
  if (share === 0 || used(nobody) >= templatePool) return true;
  return tenants.some((tenant) => {
    const limit = used(tenant) > 0 ? readLimit(pins, tenant, "templates") : 0;
    return limit > 0 && used(tenant) >= share * limit;
  });
}

/** Counts each tenant's templates: after some were given back, and where a version was that did not count them. */
export async function settleTemplates(pins: Pins): Promise<void> {
  if (!pins.hasMap("encaps_taken")) return;
  const counted = countUsage(pins, "encap", () => {
    using encaps = BpfMap.openPinned(pins.map("encaps"));
    using taken = BpfMap.openPinned(pins.map("encaps_taken"));
    const places = new Map<number, number>();
    for (const template of templatesIn(encaps, takenIn(taken)).values()) {
      const tenant = readU32(template, tenantWord);
      places.set(tenant, (places.get(tenant) ?? 0) + 1);
    }
    return places;
  });
  await sleep(settleMs);
  settleUsage(pins, counted);
}

/** All but the state is written as it was; what XDP has found of the way meanwhile, it soon asks for again. */
function setState(encaps: BpfMap, id: number, template: Buffer, state: number): Buffer {
  u32(state).copy(template);
  encaps.set(u32(id), template);
  return template;
}

function takenIn(taken: BpfMap): Set<number> {
  const ids = new Set<number>();
  for (const { keys, values, count } of taken.batches())
    for (let n = 0; n < count; n++) if (readU32(values, n * (taken.valueStride / 4)) !== 0) ids.add(readU32(keys, n));
  return ids;
}

const written: ReadonlySet<number> = new Set([templateStates.ready, templateStates.retired, templateStates.left]);

/** By id: those in use, those that were left, and those that a run which was cut short has retired. */
function templatesIn(encaps: BpfMap, taken: ReadonlySet<number>): Map<number, Buffer> {
  const present = new Map<number, Buffer>();
  for (const { keys, values, count } of encaps.batches())
    for (let n = 0; n < count; n++) {
      const template = values.subarray(n * encaps.valueStride, n * encaps.valueStride + encaps.valueSize);
      const state = readU32(template, 0);
      const id = readU32(keys, n);
      if (taken.has(id) && written.has(state)) present.set(id, Buffer.from(template));
    }
  return present;
}

/** Ids that flows lead to which are followed. */
function templatesInUse(pins: Pins): Set<number> {
  using generations = BpfMap.openPinned(pins.map("generations"));
  const now = new Map<number, number>();
  const generationOf = (tenant: number) => {
    const known = now.get(tenant) ?? readU32(generations.get(u32(tenant)) ?? u32(0), 0);
    now.set(tenant, known);
    return known;
  };
  using flows = BpfMap.openPinned(pins.map("flows"));
  const inUse = new Set<number>();
  for (const { values } of flows.batches({ size: bucketsAtOnce }))
    for (const flow of flowsIn(values))
      if (readU32(flow, flowOffsets.generation / 4) === generationOf(readU16(flow, flowOffsets.tenant)))
        inUse.add(readU16(flow, flowOffsets.encap));
  return inUse;
}
