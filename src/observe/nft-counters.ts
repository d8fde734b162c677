/** What the nft rules have counted, by tenant. */

import type { Denial } from "../datapath/counters.js";
import { formatValue, type NftValue, readSet } from "../kernel/nft.js";
import { counterSets, ruleOfMark, tableName } from "../plan/rules.js";

export interface NftCounters {
  /** Tenant id -> packets that were refused. */
  readonly denied: ReadonlyMap<number, readonly Denial[]>;
}

export async function readNftCounters(instance: string): Promise<NftCounters> {
  const table = tableName(instance);
  const denied = new Map<number, Denial[]>();
  for (const [set, direction] of [
    [counterSets.deniedInbound, "inbound"],
    [counterSets.deniedOutbound, "outbound"],
  ] as const)
    for (const element of (await readSet(table, set))?.elem ?? []) {
      const { key, packets, bytes } = counted(element as NftValue);
      const [zone = 0, mark = 0] = key.split(" . ").map(Number);
      const rule = ruleOfMark(mark)?.rule;
      denied.set(zone, [...(denied.get(zone) ?? []), { direction, rule, packets, bytes }]);
    }
  return { denied };
}

function counted(element: NftValue): { key: string; packets: number; bytes: number } {
  const counter = typeof element === "object" && "elem" in element ? element.elem.counter : undefined;
  return { key: formatValue(element), packets: counter?.packets ?? 0, bytes: counter?.bytes ?? 0 };
}
