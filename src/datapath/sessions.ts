/**
 * The count of each tenant's live connections, for `limits.sessions`: what came and went since the programs count, plus
 * what there was when they began. The latter is written here, once after they were attached; a mark says that it was.
 */

import { BpfMap } from "libbpf-ts";
import { maxTenants, nobody } from "../model/desired.js";
import { countBytes, readCounts } from "./counts.js";
import { u32 } from "./layout.js";
import type { Pins } from "./pins.js";

const eventsMap = "session_events";
const baseMap = "session_base";
const settledMap = "sessions_settled";

/** How often conntrack is read until nothing came or went meanwhile; a tenant that is never at rest is off by what did. */
const attempts = 4;

/** Whether the counts are right. */
export function sessionsAreCounted(pins: Pins): boolean {
  if (!pins.hasMap(settledMap)) return false;
  using settled = BpfMap.openPinned(pins.map(settledMap));
  return settled.get(u32(0))?.some((byte) => byte !== 0) ?? false;
}

/** From now on they are not. */
export function forgetSessions(pins: Pins): void {
  setSettled(pins, false);
}

function setSettled(pins: Pins, isSettled: boolean): void {
  using settled = BpfMap.openPinned(pins.map(settledMap));
  settled.set(u32(0), u32(isSettled ? 1 : 0));
}

/** @param readZones the zone of each connection that conntrack has */
export function settleSessions(pins: Pins, readZones: () => Iterable<number>): void {
  using base = BpfMap.openPinned(pins.map(baseMap));
  let open = new Set(Array.from({ length: maxTenants - 1 }, (_, at) => at + 1));
  for (let attempt = 1; open.size > 0 && attempt <= attempts; attempt++) {
    const before = readCounts(pins, eventsMap);
    const listed = new Map<number, number>();
    for (const zone of readZones()) listed.set(zone, (listed.get(zone) ?? 0) + 1);
    const after = readCounts(pins, eventsMap);
    const restless = new Set<number>();
    for (const tenant of open) {
      const events = after[tenant] ?? 0;
      base.set(u32(tenant), countBytes((listed.get(tenant) ?? 0) - events));
      if (before[tenant] !== events) restless.add(tenant);
    }
    open = restless;
  }
  const bases = readCounts(pins, baseMap);
  const events = readCounts(pins, eventsMap);
  // Of all together, what each tenant's own counts add up to.
  const sum = (counts: readonly number[]) => counts.reduce((total, count, tenant) => total + (tenant ? count : 0), 0);
  base.set(u32(nobody), countBytes(sum(bases) + sum(events) - (events[nobody] ?? 0)));
  setSettled(pins, true);
}

/** Tenant id -> live connections; undefined while nobody counts. */
export function readSessions(pins: Pins): readonly number[] | undefined {
  if (!sessionsAreCounted(pins)) return undefined;
  const base = readCounts(pins, baseMap);
  return readCounts(pins, eventsMap).map((events, tenant) => events + (base[tenant] ?? 0));
}
