/** What the programs have counted, and which flows they follow. */

import { BpfMap } from "libbpf-ts";
import { outboundMark, type PolicyDirection, ruleOfMark } from "../plan/rules.js";
import type { Count } from "./accounting.js";
import { readU32, readU64, u32 } from "./layout.js";
import type { Pins } from "./pins.js";
import { reasonSlots, reasons } from "./reasons.js";

/**
 * Reason -> count of packets as they arrived over all CPUs, without the zeros and without what XDP forwarded, which is
 * counted by rule; `tenant` 0 holds what is nobody's.
 */
export function readReasons(pins: Pins, tenants: readonly number[]): Map<number, Record<string, Count>> {
  const result = new Map<number, Record<string, Count>>();
  if (!pins.hasMap("stats")) return result;
  using stats = BpfMap.openPinned(pins.map("stats"));
  for (const tenant of tenants) {
    const counts: Record<string, Count> = {};
    reasons.forEach(({ name }, index) => {
      const values = stats.getPerCpu(u32(tenant * reasonSlots + index)) ?? [];
      const sum = (offset: number) => Number(values.reduce((total, value) => total + readU64(value, offset), 0n));
      const packets = sum(0);
      if (packets > 0) counts[name] = { packets, bytes: sum(8) };
    });
    result.set(tenant, counts);
  }
  return result;
}

export interface Denial extends Count {
  readonly direction: PolicyDirection;
  /** Index of the rule that denied; undefined where no rule matched, which denies too. */
  readonly rule: number | undefined;
}

/** Tenant id -> what XDP refused by the policy, bytes of inner IP packets. */
export function readDenials(pins: Pins): Map<number, Denial[]> {
  const denials = new Map<number, Denial[]>();
  if (!pins.hasMap("denials")) return denials;
  using map = BpfMap.openPinned(pins.map("denials"));
  for (const [key, values] of map.entriesPerCpu()) {
    const [tenant, mark] = [readU32(key, 0), readU32(key, 1)];
    const sum = (offset: number) => Number(values.reduce((total, value) => total + readU64(value, offset), 0n));
    const direction = (mark & outboundMark) === 0 ? "inbound" : "outbound";
    const denial: Denial = { direction, rule: ruleOfMark(mark)?.rule, packets: sum(0), bytes: sum(8) };
    denials.set(tenant, [...(denials.get(tenant) ?? []), denial]);
  }
  return denials;
}
