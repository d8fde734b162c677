/**
 * One tenant whole. Neither the flow table nor others' connections are looked through: of the flow table what the tenant's
 * connections lead to. Of nft's maps and counters, which grow with tenants, all is read.
 */

import type { PlacedConfig } from "../config/load.js";
import { addTiers, noTiers, readForwarded, type Tiers } from "../datapath/accounting.js";
import { readDenials, readReasons } from "../datapath/counters.js";
import type { FlowView } from "../datapath/flow-view.js";
import { readGenerations } from "../datapath/generations.js";
import { reasons } from "../datapath/reasons.js";
import { noLosses } from "../datapath/shares.js";
import { readLosses } from "../datapath/usage.js";
import type { Named } from "../flow/list.js";
import type { DescribeRule } from "../flow/show.js";
import { readLinksOf } from "../kernel/rtnetlink.js";
import { readNftCounters } from "../observe/nft-counters.js";
import { countConnections } from "./connections.js";
import { byName, deviceNames, devicesOf } from "./devices.js";
import { readTenantLimits } from "./limits.js";
import { readNat, wantedNat } from "./nat.js";
import { type Denials, policyOf, sumOf } from "./policy.js";
import { readTenantRoutes, wantedRoutes } from "./routes.js";
import type { TenantReport } from "./schema.js";

/** @param config of the instance, if it can be read */
export function reportTenant(
  view: FlowView,
  { id, key, name }: Named,
  config: PlacedConfig | undefined,
  describeRule: DescribeRule,
): TenantReport {
  const { pins } = view;
  const zone = view.tenants.get(id)?.zone ?? id;
  const at = config?.config.tenants.findIndex((one) => one.key === key) ?? -1;
  const tenant = config?.config.tenants[at];
  const [vrf, tunnel] = deviceNames(key);
  const nft = readNftCounters(pins.instance, [{ id, key, vrf, tunnel }]);
  const denials = { xdp: readDenials(pins).get(id) ?? [], nft: nft.denied.get(zone) ?? [] };
  const forwarded = readForwarded(pins, [id]).get(id) ?? [];
  return {
    ...{ instance: pins.instance, name, key, id, zone },
    ...(config && tenant ? { place: placeOf(config, at) } : {}),
    devices: devicesOf(key, byName(readLinksOf([vrf, tunnel]))),
    routes: readTenantRoutes(id, config && (tenant ? wantedRoutes(tenant, config.config) : [])),
    nat: readNat(pins.instance, zone, config && wantedNat(tenant)),
    policy: policyOf(key, tenant, forwarded, denials, describeRule),
    limits: readTenantLimits(pins, id),
    losses: readLosses(pins, [id]).get(id) ?? noLosses,
    connections: countConnections(view, id, zone),
    forwarded: forwarded.reduce((sum: Tiers, { tiers }) => addTiers(sum, tiers), noTiers),
    drops: dropsOf(readReasons(pins, [id]).get(id) ?? {}, nft.refused.get(id) ?? {}, denials),
    changes: changesOf(readGenerations(pins, [id]).get(id) ?? 0),
  };
}

function placeOf(config: PlacedConfig, at: number): TenantReport["place"] {
  const { file, line } = config.locate(["tenants", at]);
  return { file, line };
}

type Counts = Readonly<Record<string, TenantReport["forwarded"]["xdp"]>>;

/** What XDP drops by its policy is among its reasons; nft counts it by rule only. */
function dropsOf(inXdp: Counts, inNft: Counts, denials: Denials): TenantReport["drops"] {
  const dropping = reasons.filter(({ verdict }) => verdict === "drop").map(({ name }) => name);
  const denied = sumOf(denials.nft);
  return [
    ...dropping.flatMap((reason) => (inXdp[reason] ? [{ by: "xdp" as const, reason, ...inXdp[reason] }] : [])),
    ...(denied.packets > 0 ? [{ by: "nft" as const, reason: "policy", ...denied }] : []),
    ...Object.entries(inNft).map(([reason, count]) => ({ by: "nft" as const, reason, ...count })),
  ];
}

/** A change makes the generation odd, its end makes it even. */
const changesOf = (generation: number): TenantReport["changes"] => ({
  decidedAnew: Math.floor(generation / 2),
  isUnfinished: generation % 2 === 1,
});
