/** How far each tenant is with its shares of the data path's tables, and what it did not get. */

import type { DesiredTenant } from "../model/desired.js";
import type { Limits } from "../model/shares.js";
import { type Reading, tenantsAtOnce } from "../slices.js";
import type { Pins } from "./pins.js";
import { type Losses, readLosses, readUsage } from "./usage.js";

/** Resources of which the places in use are counted, and the tables that they are in. */
export const countedTables = { flows: "flow", templates: "encap", rules: "rule" } as const;

export type CountedResource = keyof typeof countedTables;

export interface ShareUsage {
  readonly used: number;
  /** The tenant's own number, or the share of all that have none; 0: everything. */
  readonly share: number;
}

export interface TenantShares {
  readonly usage: Readonly<Record<CountedResource, ShareUsage>>;
  readonly losses: Losses;
}

export const noLosses: Losses = {
  flowsEvicted: 0,
  flowsRefused: 0,
  templatesRefused: 0,
  rulesRefused: 0,
  eventsLost: 0,
};

/** As readShares, with pauses. */
export function* scanShares(
  pins: Pins,
  tenants: readonly Pick<DesiredTenant, "id" | "limits">[],
  shares: Limits,
): Reading<Map<number, TenantShares>> {
  const all = new Map<number, TenantShares>();
  for (let at = 0; at < tenants.length; at += tenantsAtOnce) {
    for (const [id, of] of readShares(pins, tenants.slice(at, at + tenantsAtOnce), shares)) all.set(id, of);
    yield;
  }
  return all;
}

/** By tenant id; as much work as there are tenants, whatever is in the tables. */
export function readShares(
  pins: Pins,
  tenants: readonly Pick<DesiredTenant, "id" | "limits">[],
  shares: Limits,
): Map<number, TenantShares> {
  const ids = tenants.map(({ id }) => id);
  const used = {
    flows: readUsage(pins, countedTables.flows, ids),
    templates: readUsage(pins, countedTables.templates, ids),
    rules: readUsage(pins, countedTables.rules, ids),
  };
  const losses = readLosses(pins, ids);
  return new Map(
    tenants.map(({ id, limits }) => {
      const of = (resource: CountedResource): ShareUsage => ({
        used: used[resource].get(id) ?? 0,
        share: limits[resource] || shares[resource],
      });
      const usage = { flows: of("flows"), templates: of("templates"), rules: of("rules") };
      return [id, { usage, losses: losses.get(id) ?? noLosses }];
    }),
  );
}
