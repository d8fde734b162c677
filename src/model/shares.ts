/** What each tenant may have of what all share: its own number, or a share of what there is. Pure. */

import { kernelTables, poolsOf } from "./kernel-tables.js";

/** 0: nothing is said. Fields as in `struct xgw_limits`, and in its order. */
export interface Limits {
  /** Live connections. */
  readonly sessions: number;
  /** Connections that begin, a second. */
  readonly newPerSecond: number;
  /** Lines of the flow table. */
  readonly flows: number;
  /** Header templates. */
  readonly templates: number;
  /** Slots of rules. */
  readonly rules: number;
  readonly eventsPerSecond: number;
  /** Entries of the kernel's neighbour table. */
  readonly neighbours: number;
}

export type Resource = keyof Limits;

/**
 * What there is for all tenants together; 0: nobody shares it out. Of tables that are filled by whoever comes, the part that
 * is in shares.
 */
export type Capacities = Limits;

export const noLimits: Limits = {
  sessions: 0,
  newPerSecond: 0,
  flows: 0,
  templates: 0,
  rules: 0,
  eventsPerSecond: 0,
  neighbours: 0,
};

export const resources = Object.keys(noLimits) as readonly Resource[];

interface Limited {
  readonly limits: Limits;
}

/**
 * New connections a second of tenants without a number of their own, when the config says nothing. No table of connections
 * can keep up with a quarter of its entries in each second, for none lives shorter than 10 s (nf_conntrack_tcp_timeout_close).
 */
export const defaultNewPerSecond = (sessions: number): number => Math.max(65_536, Math.floor(sessions / 4));

/**
 * The shares of tenants whose limits say nothing: what those with a number of their own leave, in equal parts. A tenant that
 * is alone has no share, and may use everything; of the kernel's tables and of new connections, all that there is for tenants.
 *
 * @param newPool new connections a second that are anybody's
 */
export function sharesOf(capacities: Capacities, tenants: readonly Limited[], newPool = 0): Limits {
  const share = (resource: Resource): number => {
    const table = resource === "sessions" || resource === "neighbours" ? resource : undefined;
    const isRate = resource === "newPerSecond";
    if (tenants.length < 2 && !isRate) return table ? capacities[table] : 0;
    if (capacities[resource] === 0) return 0;
    let [left, silent] = [capacities[resource], 0];
    if (table) left -= poolsOf(capacities)[table];
    if (isRate) left -= newPool;
    for (const { limits } of tenants)
      if (limits[resource] === 0) silent++;
      else left -= limits[resource];
    const floor = table ? kernelTables[table].floor : 1;
    if (table && silent === 0) return floor; // nobody's
    return Math.max(floor, Math.floor(left / Math.max(1, silent)));
  };
  return mapLimits(share);
}

/** One number for each resource, in the order of the fields. */
export function mapLimits(numberOf: (resource: Resource) => number): Limits {
  return Object.fromEntries(resources.map((resource) => [resource, numberOf(resource)])) as unknown as Limits;
}
