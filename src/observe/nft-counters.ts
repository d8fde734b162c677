/** What the nft rules have counted, by tenant. */

import type { Count } from "../datapath/accounting.js";
import type { Denial } from "../datapath/counters.js";
import { type NftFamily, readSet } from "../kernel/nftables.js";
import { type DesiredTenant, nobody } from "../model/desired.js";
import {
  counterSets,
  otherFamilySet,
  type RefusalReason,
  refusalSets,
  ruleOfMark,
  type SetTypes,
  tableName,
  typesOfSet,
} from "../plan/rules.js";

export type Refusals = Readonly<Partial<Record<RefusalReason, Count>>>;

/** What a tenant is counted under. */
type Named = Pick<DesiredTenant, "id" | "key" | "vrf" | "tunnel">;

export interface NftCounters {
  /** Tenant id -> packets that the policy refused. */
  readonly denied: ReadonlyMap<number, readonly Denial[]>;
  /** Tenant id -> packets that were refused for what they are, by reason; those of nobody came from a side. */
  readonly refused: ReadonlyMap<number, Refusals>;
}

export function readNftCounters(instance: string, tenants: readonly Named[]): NftCounters {
  const table = tableName(instance);
  return { denied: readDenied(table), refused: readRefused(table, tenants) };
}

const readCounters = (table: string, set: string, family?: NftFamily) =>
  (readSet(table, set, typesOfSet(set) as SetTypes, family) ?? []).map(({ key, counter }) => ({
    key,
    packets: counter?.packets ?? 0,
    bytes: counter?.bytes ?? 0,
  }));

function readDenied(table: string): NftCounters["denied"] {
  const denied = new Map<number, Denial[]>();
  for (const [set, direction] of [
    [counterSets.deniedInbound, "inbound"],
    [counterSets.deniedOutbound, "outbound"],
  ] as const)
    for (const { key, packets, bytes } of readCounters(table, set)) {
      const [zone = 0, mark = 0] = key.split(" . ").map(Number);
      denied.set(zone, [...(denied.get(zone) ?? []), { direction, rule: ruleOfMark(mark)?.rule, packets, bytes }]);
    }
  return denied;
}

function readRefused(table: string, tenants: readonly Named[]): NftCounters["refused"] {
  const owners = new Map(
    tenants.flatMap(({ id, key, vrf, tunnel }) => [vrf, tunnel, String(key)].map((name) => [name, id] as const)),
  );
  const refused = new Map<number, Partial<Record<RefusalReason, Count>>>();
  const read = (reason: RefusalReason, set: string, family?: NftFamily) => {
    for (const { key, packets, bytes } of readCounters(table, set, family)) {
      const id = reason === "crossed" ? nobody : owners.get(key);
      if (id === undefined) continue; // of a tenant that has gone
      const counts = refused.get(id) ?? {};
      const { packets: more = 0, bytes: moreBytes = 0 } = counts[reason] ?? {};
      counts[reason] = { packets: packets + more, bytes: bytes + moreBytes };
      refused.set(id, counts);
    }
  };
  for (const [reason, set] of Object.entries(refusalSets)) read(reason as RefusalReason, set);
  read("other_family", otherFamilySet, "ip6");
  return refused;
}
