/** Rates, out of what was counted at two times. Pure. */

import { type Tier, tiers } from "../datapath/accounting.js";
import type { Sample, TenantSample } from "./sample.js";
import type { TenantRates, TopTable } from "./schema.js";

type Traffic = TopTable["total"];

/** A tenant that is new, or whose counters began anew, has carried nothing as far as is known. */
export function ratesBetween(before: Sample, after: Sample): TopTable {
  const seconds = Math.max(0.001, (after.clock - before.clock) / 1000);
  const earlier = new Map(before.tenants.map((tenant) => [`${tenant.id} ${tenant.key}`, tenant]));
  const tenants = after.tenants.map((tenant) =>
    tenantRates(earlier.get(`${tenant.id} ${tenant.key}`), tenant, seconds),
  );
  return {
    at: new Date(after.at).toISOString(),
    seconds: Math.round(seconds * 1000) / 1000,
    instance: after.instance,
    conntrack: after.conntrack,
    flowTable: after.flowTable,
    total: tenants.reduce(addTraffic, noTraffic),
    tenants,
  };
}

function tenantRates(before: TenantSample | undefined, after: TenantSample, seconds: number): TenantRates {
  const rate = (from: number, to: number) => Math.round((Math.max(0, to - from) / seconds) * 10) / 10;
  const carried = (tier: Tier) => {
    const { packets, bytes } = after.forwarded[tier];
    const from = before?.forwarded[tier] ?? after.forwarded[tier];
    return { packetsPerSecond: rate(from.packets, packets), bitsPerSecond: rate(8 * from.bytes, 8 * bytes) };
  };
  const { name, key, sessions, sessionsLimit, flows, flowsShare, dropped } = after;
  return {
    ...{ name, key },
    ...{ xdp: carried("xdp"), flowtable: carried("flowtable"), stack: carried("stack") },
    droppedPerSecond: rate(before?.dropped ?? dropped, dropped),
    ...(sessions === undefined ? {} : { sessions }),
    ...{ sessionsLimit, flows, flowsShare },
  };
}

const nothing = { packetsPerSecond: 0, bitsPerSecond: 0 };
const noTraffic: Traffic = { xdp: nothing, flowtable: nothing, stack: nothing, droppedPerSecond: 0 };

function addTraffic(a: Traffic, b: Traffic): Traffic {
  const add = (tier: Tier) => ({
    packetsPerSecond: a[tier].packetsPerSecond + b[tier].packetsPerSecond,
    bitsPerSecond: a[tier].bitsPerSecond + b[tier].bitsPerSecond,
  });
  return {
    ...{ xdp: add("xdp"), flowtable: add("flowtable"), stack: add("stack") },
    droppedPerSecond: a.droppedPerSecond + b.droppedPerSecond,
  };
}

/** Of all tiers. */
export const packetsOf = (traffic: Traffic): number =>
  tiers.reduce((sum, tier) => sum + traffic[tier].packetsPerSecond, 0);
export const bitsOf = (traffic: Traffic): number => tiers.reduce((sum, tier) => sum + traffic[tier].bitsPerSecond, 0);
