/* SPDX-License-Identifier: GPL-2.0 */
/* What tenants have taken of what all of them share, whether that is more than their share, and what they did not get.
 */
#ifndef XGW_USAGE_H
#define XGW_USAGE_H

#include "../maps.h"
#include "limits.h"

/* One time more, in a field of struct xgw_losses at this offset, bytes. */
static __always_inline void count_loss_at(__u32 tenant, __u32 at)
{
	void *counts = bpf_map_lookup_elem(&losses, &tenant);

	if (counts)
		__sync_fetch_and_add((__u64 *)(counts + at), 1);
}

#define count_loss(tenant, field) count_loss_at(tenant, __builtin_offsetof(struct xgw_losses, field))

static __always_inline void usage_change(void *usages, __u32 tenant, __s64 change)
{
	__s64 *used = bpf_map_lookup_elem(usages, &tenant);

	if (used)
		__sync_fetch_and_add(used, change);
}

static __always_inline __s64 usage_of(void *usages, __u32 tenant)
{
	const __s64 *used = bpf_map_lookup_elem(usages, &tenant);

	return used ? *(const volatile __s64 *)used : 0;
}

/*
 * May a tenant take one more place of a table that nobody is evicted from? Half of the places are shared out, and a
 * quarter is for whoever comes first. The last one stays free, for a table that is full to the end hides its places: so
 * a tenant within its share finds one. `returns`: what the daemon has given back.
 */
static __always_inline int usage_admits(void *usages, void *returns, __u32 tenant, __u32 share, __u32 places)
{
	if (!share || usage_of(usages, tenant) - usage_of(returns, tenant) < share)
		return 1;
	return usage_of(usages, 0) - usage_of(returns, 0) < places / 4;
}

/* Counts a place as the tenant's, and in slot 0 as one of all. */
static __always_inline void usage_take(void *usages, __u32 tenant)
{
	usage_change(usages, tenant, 1);
	usage_change(usages, 0, 1);
}

#endif
