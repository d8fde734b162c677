/** What the programs have counted, and which flows they follow. */

import { BpfMap } from "libbpf-ts";
import { outboundMark, type PolicyDirection, ruleOfMark } from "../plan/rules.js";
import { atOnce, type Reading } from "../slices.js";
import type { Count } from "./accounting.js";
import { readCount, readU32 } from "./layout.js";
import type { Pins } from "./pins.js";
import { reasonSlots, reasons } from "./reasons.js";

/**
 * Reason -> count of packets as they arrived over all CPUs, without the zeros and without what XDP forwarded, which is
 * counted by rule; `tenant` 0 holds what is nobody's.
 */
export const readReasons = (pins: Pins, tenants: readonly number[]): Map<number, Record<string, Count>> =>
  atOnce(scanReasons(pins, tenants));

/** Entries that are read by one system call: of 16 bytes for each CPU. */
const countersAtOnce = 1024;

export function* scanReasons(pins: Pins, tenants: readonly number[]): Reading<Map<number, Record<string, Count>>> {
  const result = new Map<number, Record<string, Count>>();
  if (!pins.hasMap("reason_stats")) return result;
  for (const tenant of tenants) result.set(tenant, {});
  const last = Math.max(-1, ...tenants);
  using stats = BpfMap.openPinned(pins.map("reason_stats"));
  for (const { keys, values, count } of stats.batches({ size: countersAtOnce / reasonSlots })) {
    for (let n = 0; n < count; n++) {
      const counts = result.get(readU32(keys, n));
      if (!counts) continue;
      for (const [reason, { name }] of reasons.entries()) {
        const packets = sumOf(stats, values, n, 16 * reason);
        if (packets > 0) counts[name] = { packets, bytes: sumOf(stats, values, n, 16 * reason + 8) };
      }
    }
    if (readU32(keys, count - 1) >= last) break;
    yield;
  }
  return result;
}

/** Of a batch's n-th value, over all CPUs: the counter at an offset of each. */
function sumOf({ valueSize, valueStride }: BpfMap, values: Buffer, n: number, offset: number): number {
  const perCpu = Math.ceil(valueSize / 8) * 8;
  let sum = 0;
  for (let at = n * valueStride; at < (n + 1) * valueStride; at += perCpu) sum += readCount(values, at + offset);
  return sum;
}

export interface Denial extends Count {
  readonly direction: PolicyDirection;
  /** Index of the rule that denied; undefined where no rule matched, which denies too. */
  readonly rule: number | undefined;
}

/** Tenant id -> what XDP refused by the policy, bytes of inner IP packets. */
export const readDenials = (pins: Pins): Map<number, Denial[]> => atOnce(scanDenials(pins));

export function* scanDenials(pins: Pins): Reading<Map<number, Denial[]>> {
  const denials = new Map<number, Denial[]>();
  if (!pins.hasMap("denials")) return denials;
  using map = BpfMap.openPinned(pins.map("denials"));
  for (const { keys, values, count } of map.batches({ size: countersAtOnce })) {
    for (let n = 0; n < count; n++) {
      const [tenant, mark] = [readU32(keys, 2 * n), readU32(keys, 2 * n + 1)];
      const direction = (mark & outboundMark) === 0 ? "inbound" : "outbound";
      const [packets, bytes] = [sumOf(map, values, n, 0), sumOf(map, values, n, 8)];
      const denial: Denial = { direction, rule: ruleOfMark(mark)?.rule, packets, bytes };
      const others = denials.get(tenant);
      if (others) others.push(denial);
      else denials.set(tenant, [denial]);
    }
    yield;
  }
  return denials;
}
