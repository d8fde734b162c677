/** What the nft rules have counted, by tenant. */

import type { Denial } from "../datapath/counters.js";
import { scanSet } from "../kernel/nftables.js";
import { counterSets, ruleOfMark, type SetTypes, tableName, typesOfSet } from "../plan/rules.js";
import { atOnce, type Reading } from "../slices.js";

export interface NftCounters {
  /** Tenant id -> packets that were refused. */
  readonly denied: ReadonlyMap<number, readonly Denial[]>;
}

export const readNftCounters = (instance: string): NftCounters => atOnce(scanNftCounters(instance));

export function* scanNftCounters(instance: string): Reading<NftCounters> {
  const table = tableName(instance);
  const denied = new Map<number, Denial[]>();
  for (const [set, direction] of [
    [counterSets.deniedInbound, "inbound"],
    [counterSets.deniedOutbound, "outbound"],
  ] as const)
    for (const elements of scanSet(table, set, typesOfSet(set) as SetTypes)) {
      for (const { key, counter } of elements) {
        const [zone = 0, mark = 0] = key.split(" . ").map(Number);
        const { packets = 0, bytes = 0 } = counter ?? {};
        const denial: Denial = { direction, rule: ruleOfMark(mark)?.rule, packets, bytes };
        const others = denied.get(zone);
        if (others) others.push(denial);
        else denied.set(zone, [denial]);
      }
      yield;
    }
  return { denied };
}
