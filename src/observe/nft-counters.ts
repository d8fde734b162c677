/** What the nft rules have counted, by tenant. */

import type { Denial } from "../datapath/counters.js";
import { readSet } from "../kernel/nftables.js";
import { counterSets, ruleOfMark, type SetTypes, tableName, typesOfSet } from "../plan/rules.js";

export interface NftCounters {
  /** Tenant id -> packets that were refused. */
  readonly denied: ReadonlyMap<number, readonly Denial[]>;
}

export function readNftCounters(instance: string): NftCounters {
  const table = tableName(instance);
  const denied = new Map<number, Denial[]>();
  for (const [set, direction] of [
    [counterSets.deniedInbound, "inbound"],
    [counterSets.deniedOutbound, "outbound"],
  ] as const)
    for (const { key, counter } of readSet(table, set, typesOfSet(set) as SetTypes) ?? []) {
      const [zone = 0, mark = 0] = key.split(" . ").map(Number);
      const { packets = 0, bytes = 0 } = counter ?? {};
      denied.set(zone, [...(denied.get(zone) ?? []), { direction, rule: ruleOfMark(mark)?.rule, packets, bytes }]);
    }
  return { denied };
}
