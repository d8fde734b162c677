/** What the nft rules have counted, by tenant. */

import type { Count } from "../datapath/accounting.js";
import type { Denial } from "../datapath/counters.js";
import { type NftFamily, scanSet } from "../kernel/nftables.js";
import { type DesiredTenant, nobody } from "../model/desired.js";
import {
  counterSets,
  otherCrossedSet,
  otherFamilySet,
  otherHostQuotaSet,
  type RefusalReason,
  refusalSets,
  ruleOfMark,
  type SetTypes,
  tableName,
  typesOfSet,
} from "../plan/rules.js";
import { atOnce, type Reading } from "../slices.js";

export type Refusals = Readonly<Partial<Record<RefusalReason, Count>>>;

/** Counted by device: a side's is nobody's. */
const ofSides: ReadonlySet<RefusalReason> = new Set(["crossed", "forged", "host_quota"]);
const isTenantsDevice = (name: string) => /^x(gre|vrf)\d+$/.test(name);

/** What a tenant is counted under. */
type Named = Pick<DesiredTenant, "id" | "key" | "vrf" | "tunnel">;

export interface NftCounters {
  /** Tenant id -> packets that the policy refused. */
  readonly denied: ReadonlyMap<number, readonly Denial[]>;
  /** Tenant id -> packets that were refused for what they are, by reason; those of nobody came from a side. */
  readonly refused: ReadonlyMap<number, Refusals>;
}

export const readNftCounters = (instance: string, tenants: readonly Named[]): NftCounters =>
  atOnce(scanNftCounters(instance, tenants));

export function* scanNftCounters(instance: string, tenants: readonly Named[]): Reading<NftCounters> {
  const table = tableName(instance);
  return { denied: yield* scanDenied(table), refused: yield* scanRefused(table, tenants) };
}

interface Counter extends Count {
  readonly key: string;
}

/** Calls for each counter of a set; none of a set that is not there. */
function* scanCounters(
  table: string,
  set: string,
  onCounter: (counter: Counter) => void,
  family?: NftFamily,
): Reading<void> {
  for (const elements of scanSet(table, set, typesOfSet(set) as SetTypes, family)) {
    for (const { key, counter } of elements)
      onCounter({ key, packets: counter?.packets ?? 0, bytes: counter?.bytes ?? 0 });
    yield;
  }
}

function* scanDenied(table: string): Reading<NftCounters["denied"]> {
  const denied = new Map<number, Denial[]>();
  for (const [set, direction] of [
    [counterSets.deniedInbound, "inbound"],
    [counterSets.deniedOutbound, "outbound"],
  ] as const)
    yield* scanCounters(table, set, ({ key, packets, bytes }) => {
      const [zone = 0, mark = 0] = key.split(" . ").map(Number);
      const denial: Denial = { direction, rule: ruleOfMark(mark)?.rule, packets, bytes };
      const others = denied.get(zone);
      if (others) others.push(denial);
      else denied.set(zone, [denial]);
    });
  return denied;
}

function* scanRefused(table: string, tenants: readonly Named[]): Reading<NftCounters["refused"]> {
  const owners = new Map(
    tenants.flatMap(({ id, key, vrf, tunnel }) => [vrf, tunnel, String(key)].map((name) => [name, id] as const)),
  );
  const refused = new Map<number, Partial<Record<RefusalReason, Count>>>();
  const scan = (reason: RefusalReason, set: string, family?: NftFamily) =>
    scanCounters(
      table,
      set,
      ({ key, packets, bytes }) => {
        const id = owners.get(key) ?? (ofSides.has(reason) && !isTenantsDevice(key) ? nobody : undefined);
        if (id === undefined) return; // of a tenant that has gone
        const counts = refused.get(id) ?? {};
        const { packets: more = 0, bytes: moreBytes = 0 } = counts[reason] ?? {};
        counts[reason] = { packets: packets + more, bytes: bytes + moreBytes };
        refused.set(id, counts);
      },
      family,
    );
  for (const [reason, set] of Object.entries(refusalSets)) yield* scan(reason as RefusalReason, set);
  yield* scan("other_family", otherFamilySet, "ip6");
  yield* scan("crossed", otherCrossedSet, "ip6");
  yield* scan("host_quota", otherHostQuotaSet, "ip6");
  return refused;
}
