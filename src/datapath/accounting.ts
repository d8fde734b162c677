/** What was forwarded for each tenant, by rule and tier: the TypeScript side of bpf/lib/account.h. */

import { setTimeout as sleep } from "node:timers/promises";
import { BpfMap } from "libbpf-ts";
import { atOnce, type Reading } from "../slices.js";
import { readCount, readU32, readU64, u32 } from "./layout.js";
import type { Pins } from "./pins.js";
import { countUsage, forgetLosses, settleUsage } from "./usage.js";

export interface Count {
  readonly packets: number;
  readonly bytes: number;
}

/** XGW_RULE_RESTS: slots that belong to tenants' ids. */
export const ruleRests = 8192;

/** Enum xgw_tier. */
export const tiers = ["xdp", "flowtable", "stack"] as const;
export type Tier = (typeof tiers)[number];

/** Packets, and the bytes of their inner IP packets, as they left. */
export type Tiers = Readonly<Record<Tier, Count>>;

export interface ForwardedByRule {
  /** The connections' mark; 0 for what no rule had to admit. */
  readonly mark: number;
  readonly tiers: Tiers;
}

/** Tenant id -> what was forwarded, by ascending mark; rules that have forwarded nothing are left out. */
export const readForwarded = (pins: Pins, tenants: readonly number[]): Map<number, ForwardedByRule[]> =>
  atOnce(scanForwarded(pins, tenants));

/** Slots that are read between two pauses. */
const slotsAtOnce = 256;

export function* scanForwarded(pins: Pins, tenants: readonly number[]): Reading<Map<number, ForwardedByRule[]>> {
  const result = new Map<number, ForwardedByRule[]>(tenants.map((tenant) => [tenant, []]));
  if (!pins.hasMap("rule_stats")) return result;
  using stats = BpfMap.openPinned(pins.map("rule_stats"));
  const byMark = new Map<number, Map<number, Tiers>>(tenants.map((tenant) => [tenant, new Map()]));
  let read = 0;
  for (const found of slotsOf(pins, new Set(tenants))) {
    if (!found || ++read % slotsAtOnce === 0) yield;
    if (!found) continue;
    const { slot, tenant, mark } = found;
    const marks = byMark.get(tenant);
    const counted = countersOf(stats.getPerCpu(u32(slot)) ?? []);
    marks?.set(mark, addTiers(marks.get(mark) ?? noTiers, counted));
  }
  for (const [tenant, marks] of byMark) {
    const forwarded = [...marks]
      .filter(([, counted]) => tiers.some((tier) => counted[tier].packets > 0))
      .map(([mark, counted]) => ({ mark, tiers: counted }));
    result.set(
      tenant,
      forwarded.sort((a, b) => a.mark - b.mark),
    );
    if (++read % slotsAtOnce === 0) yield;
  }
  return result;
}

export const noTiers: Tiers = {
  xdp: { packets: 0, bytes: 0 },
  flowtable: { packets: 0, bytes: 0 },
  stack: { packets: 0, bytes: 0 },
};

export function addTiers(a: Tiers, b: Tiers): Tiers {
  const add = (tier: Tier): Count => ({
    packets: a[tier].packets + b[tier].packets,
    bytes: a[tier].bytes + b[tier].bytes,
  });
  return { xdp: add("xdp"), flowtable: add("flowtable"), stack: add("stack") };
}

/**
 * Everything counted for these tenants is forgotten and their slots are free, so that whoever gets their ids begins at 0.
 * Only for tenants that are not in the maps: not yet, or no more.
 */
export async function forgetCounts(pins: Pins, tenants: ReadonlySet<number>): Promise<void> {
  if (tenants.size === 0 || !pins.hasMap("rule_stats") || !pins.hasMap("reason_stats")) return;
  await sleep(settleMs); // what still had them from the maps has counted by then
  using reasonStats = BpfMap.openPinned(pins.map("reason_stats"));
  for (const tenant of tenants) zero(reasonStats, tenant);
  using ruleStats = BpfMap.openPinned(pins.map("rule_stats"));
  using rules = BpfMap.openPinned(pins.map("rules"));
  for (const found of slotsOf(pins, tenants)) {
    if (!found) continue;
    const { slot } = found;
    zero(ruleStats, slot);
    if (slot >= ruleRests) rules.set(u32(slot), Buffer.alloc(8));
  }
  forgetDenials(pins, tenants);
  forgetLosses(pins, tenants);
  await settleRules(pins);
}

/** Longer than a program runs. */
const settleMs = 20;

/** Counts each tenant's slots: after some were given back, and where a version was that did not count them. */
export async function settleRules(pins: Pins): Promise<void> {
  if (!pins.hasMap("rules")) return;
  const counted = countUsage(pins, "rule", () => {
    using rules = BpfMap.openPinned(pins.map("rules"));
    const slots = new Map<number, number>();
    for (const { values, count } of rules.batches())
      for (let n = 0; n < count; n++) {
        const tenant = Number(readU64(values, n * rules.valueStride) >> 32n);
        if (tenant > 0) slots.set(tenant, (slots.get(tenant) ?? 0) + 1);
      }
    return slots;
  });
  await sleep(settleMs);
  settleUsage(pins, counted);
}

function forgetDenials(pins: Pins, tenants: ReadonlySet<number>): void {
  if (!pins.hasMap("denials")) return;
  using denials = BpfMap.openPinned(pins.map("denials"));
  for (const key of [...denials.keys()]) if (tenants.has(readU32(key, 0))) denials.delete(key);
}

function zero(map: BpfMap, slot: number): void {
  const values = map.getPerCpu(u32(slot)) ?? [];
  if (values.some((value) => value.some((byte) => byte !== 0)))
    map.setPerCpu(
      u32(slot),
      values.map((value) => Buffer.alloc(value.length)),
    );
}

/** The slots of these tenants, those of their ids included; undefined after each stretch of slots that was looked through. */
function* slotsOf(
  pins: Pins,
  tenants: ReadonlySet<number>,
): Generator<{ readonly slot: number; readonly tenant: number; readonly mark: number } | undefined> {
  for (const tenant of tenants) yield { slot: tenant, tenant, mark: 0 };
  if (!pins.hasMap("rules")) return;
  using rules = BpfMap.openPinned(pins.map("rules"));
  for (const { keys, values, count } of rules.batches()) {
    for (let n = 0; n < count; n++) {
      const rule = readU64(values, n * rules.valueStride);
      const tenant = Number(rule >> 32n);
      if (rule !== 0n && tenants.has(tenant))
        yield { slot: readU32(keys, n), tenant, mark: Number(rule & 0xffff_ffffn) };
    }
    yield undefined;
  }
}

/** Over all CPUs. */
function countersOf(values: readonly Buffer[]): Tiers {
  const sum = (offset: number) => values.reduce((total, value) => total + readCount(value, offset), 0);
  const of = (tier: Tier): Count => {
    const at = tiers.indexOf(tier) * 16;
    return { packets: sum(at), bytes: sum(at + 8) };
  };
  return { xdp: of("xdp"), flowtable: of("flowtable"), stack: of("stack") };
}
