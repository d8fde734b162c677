/**
 * What the gateway has counted up to now, by tenant. As much work as there are tenants and rules: neither the flow table nor
 * conntrack's is looked through.
 */

import { addTiers, noTiers, scanForwarded, type Tiers } from "../datapath/accounting.js";
import { scanReasons } from "../datapath/counters.js";
import type { Pins } from "../datapath/pins.js";
import { reasons } from "../datapath/reasons.js";
import { readSessions } from "../datapath/sessions.js";
import { readLimits, readUsage } from "../datapath/usage.js";
import { nobody } from "../model/desired.js";
import { readConntrack } from "../observe/kernel-tables.js";
import { scanNftCounters } from "../observe/nft-counters.js";
import type { Reading } from "../slices.js";

export interface Named {
  readonly name: string;
  readonly key: number;
  readonly id: number;
}

export interface TenantSample extends Named {
  readonly forwarded: Tiers;
  /** Packets. */
  readonly dropped: number;
  readonly sessions: number | undefined;
  /** 0: none, as `flowsShare`. */
  readonly sessionsLimit: number;
  readonly flows: number;
  readonly flowsShare: number;
}

export interface Sample {
  /** Since 1970, milliseconds. */
  readonly at: number;
  /** Of the monotonic clock, milliseconds. */
  readonly clock: number;
  readonly instance: string;
  readonly conntrack: { readonly entries: number; readonly max: number };
  readonly flowTable: { readonly used: number; readonly lines: number };
  readonly tenants: readonly TenantSample[];
}

const dropping = reasons.filter(({ verdict }) => verdict === "drop").map(({ name }) => name);

/** @param lines that the flow table has */
export function* scanSample(pins: Pins, tenants: readonly Named[], lines: number): Reading<Sample> {
  const ids = tenants.map(({ id }) => id);
  const [at, clock] = [Date.now(), performance.now()];
  const forwarded = yield* scanForwarded(pins, ids);
  const counts = yield* scanReasons(pins, ids);
  const devices = tenants.map(({ id, key }) => ({ id, key, vrf: `xvrf${key}`, tunnel: `xgre${key}` }));
  const nft = yield* scanNftCounters(pins.instance, devices);
  const used = readUsage(pins, "flow", [nobody, ...ids]);
  const sessions = readSessions(pins);
  const limits = readLimits(pins, ids);
  const { entries, max } = readConntrack();
  return {
    ...{ at, clock, instance: pins.instance, conntrack: { entries, max } },
    flowTable: { used: used.get(nobody) ?? 0, lines },
    tenants: tenants.map((tenant) => {
      const { id } = tenant;
      const inXdp = dropping.map((reason) => counts.get(id)?.[reason]);
      const inNft = [...(nft.denied.get(id) ?? []), ...Object.values(nft.refused.get(id) ?? {})];
      return {
        ...tenant,
        forwarded: (forwarded.get(id) ?? []).reduce((sum, { tiers }) => addTiers(sum, tiers), noTiers),
        dropped: [...inXdp, ...inNft].reduce((sum, count) => sum + (count?.packets ?? 0), 0),
        sessions: sessions && Math.max(0, sessions[id] ?? 0),
        sessionsLimit: limits.get(id)?.sessions ?? 0,
        flows: used.get(id) ?? 0,
        flowsShare: limits.get(id)?.flows ?? 0,
      };
    }),
  };
}
