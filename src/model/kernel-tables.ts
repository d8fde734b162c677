/**
 * The kernel's own tables that all tenants share, conntrack's and the neighbours': what there is for them, and how large the
 * kernel's limits have to be for it. Pure.
 *
 * Half of what there is, the pool, is anybody's: up to there nobody is refused for being over its share, so that a gateway
 * with room to spare refuses nobody. Beyond it a tenant gets new entries only while it is below its share. The other half is
 * what the shares are of. So all tenants together never have more than the pool and what is promised, and the kernel's limit
 * is that and a reserve for what is no tenant's.
 */

import type { Limits } from "./shares.js";

export type KernelTable = "sessions" | "neighbours";

interface Size {
  /** For tenants, when the config says nothing. */
  readonly capacity: number;
  /** The least that a tenant whose limits say nothing is promised; with many tenants the table becomes larger for it. */
  readonly floor: number;
  /** For what is no tenant's. */
  readonly reserve: number;
  /**
   * What tenants' own numbers make of the table at most, however large they are, unless the config says that there is more
   * than half of it. A quarter is kept for shares.
   */
  readonly most: number;
}

/**
 * The floors of 8191 tenants come to a quarter of the most. Sessions: 2^18 is what the kernel itself takes on a machine with
 * 4 GB or more (nf_conntrack_init_start), some 100 MB when full, and half of the flows that XDP has room for. Neighbours:
 * half a kilobyte each; the kernel's own limit, 1024, is for a host in one network.
 */
export const kernelTables: Readonly<Record<KernelTable, Size>> = {
  sessions: { capacity: 262_144, floor: 128, reserve: 32_768, most: 4_194_304 },
  neighbours: { capacity: 65_536, floor: 16, reserve: 8192, most: 524_288 },
};

export type TableSizes = Readonly<Record<KernelTable, number>>;

export const tableSizes = (sizeOf: (table: KernelTable) => number): TableSizes => ({
  sessions: sizeOf("sessions"),
  neighbours: sizeOf("neighbours"),
});

/** Of the capacities, what is anybody's. */
export const poolsOf = (capacities: TableSizes): TableSizes => tableSizes((table) => Math.floor(capacities[table] / 2));

const mostOf = (capacities: TableSizes, table: KernelTable) =>
  Math.max(kernelTables[table].most, 2 * capacities[table]);

/** Up to how many entries of all tenants together each gets what the config gives it; beyond, shares only. */
export const roomsOf = (capacities: TableSizes): TableSizes =>
  tableSizes((table) => Math.floor((mostOf(capacities, table) * 3) / 4));

/** Entries that all tenants together may have at most, in steps, so that few edits change the kernel's limits. */
export function promisedOf(
  capacities: TableSizes,
  shares: Limits,
  tenants: readonly { readonly limits: Limits }[],
): TableSizes {
  const pools = poolsOf(capacities);
  return tableSizes((table) => {
    const own = tenants.reduce((sum, { limits }) => sum + (limits[table] || shares[table]), 0);
    const step = kernelTables[table].capacity / 4;
    const all = Math.max(capacities[table], own + (tenants.length > 1 ? pools[table] : 0));
    return Math.min(mostOf(capacities, table), Math.ceil(all / step) * step);
  });
}
