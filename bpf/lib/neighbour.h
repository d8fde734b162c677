/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's neighbour table is one for the whole machine, and a full one refuses everybody. A tenant can make
 * entries in it by sending to hosts of its own that do not exist, by asking the gateway something under many addresses,
 * and by ARP requests under many addresses. So each tenant has a share of it, like of connections: beyond the part that
 * is anybody's, a tenant over its share gets no new entry. What there is, is counted where the kernel makes and removes
 * entries (neighbours.bpf.c).
 *
 * The count is of all entries, not of unresolved ones only: a tenant that answers for each address of a /16 fills the
 * table as well as one that answers for none. Entries that nobody uses go after a minute by themselves
 * (gc_stale_time), for xgw leaves gc_thresh1 as it is.
 */
#ifndef XGW_NEIGHBOUR_H
#define XGW_NEIGHBOUR_H

#include "../maps.h"
#include "config.h"
#include "limits.h"
#include "settings.h"

/* Of all tenants for tenant 0. */
static __always_inline __s64 neighbours_of(__u32 tenant)
{
	__s64 *count = bpf_map_lookup_elem(&neighbour_counts, &tenant);

	return count ? *(volatile __s64 *)count : 0;
}

/* May the kernel look for this neighbour? */
static __always_inline int may_have_neighbour(__u32 tenant, const struct xgw_neighbour_key *key)
{
	return bpf_map_lookup_elem(&neighbours, key) ||
	       may_have_one_more(neighbours_of(tenant), neighbours_of(0), said_of(tenant, neighbours),
				 said_of(0, neighbours), setting(neighbour_pool), setting(neighbour_room));
}

#endif
