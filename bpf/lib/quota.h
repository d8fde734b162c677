/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A tenant's quotas, asked only for what would begin a connection that the policy admits: so many a second,
 * by buckets that hold one second's worth, and so many at one time, counted by sessions.bpf.c.
 *
 * They are kept where conntrack is about to confirm a connection (netfilter.bpf.c), which is the one place that all
 * shapes of packets pass; it alone takes from the buckets. XDP asks the same, takes nothing, and drops earlier.
 */
#ifndef XGW_QUOTA_H
#define XGW_QUOTA_H

#include "../maps.h"
#include "bucket.h"
#include "config.h"
#include "limits.h"
#include "settings.h"

/* Of all tenants for tenant 0. */
static __always_inline __s64 sessions_of(__u32 tenant)
{
	__s64 *events = bpf_map_lookup_elem(&session_events, &tenant);
	__s64 *base = bpf_map_lookup_elem(&session_base, &tenant);

	return events && base ? *(volatile __s64 *)events + *(volatile __s64 *)base : 0;
}

/* In this second: of its own, or, when it has no number of its own, of what is anybody's. */
static __always_inline int may_begin_now(__u32 tenant, int takes)
{
	__u32 own = said_of(tenant, new_per_second), per_second = own ? own : said_of(0, new_per_second);
	__u32 pool = 0, of_all = setting(new_pool);

	if (!per_second || ask_bucket(bpf_map_lookup_elem(&buckets, &tenant), per_second, 1, takes))
		return 1;
	return !own && of_all && ask_bucket(bpf_map_lookup_elem(&buckets, &pool), of_all, 1, takes);
}

static __always_inline int may_begin(__u32 tenant, int takes)
{
	__u32 own = said_of(tenant, sessions), share = said_of(0, sessions);

	if ((own || share) && !may_have_one_more(sessions_of(tenant), sessions_of(0), own, share, setting(session_pool),
						 setting(session_room)))
		return 0;
	return may_begin_now(tenant, takes);
}

/* May the tenant have one more connection now? */
static __noinline __attribute__((unused)) int quota_admits(__u32 tenant)
{
	return may_begin(tenant, 0);
}

/* The same, for the connection that begins by this: it counts as one of this second. */
static __noinline __attribute__((unused)) int quota_takes(__u32 tenant)
{
	return may_begin(tenant, 1);
}

#endif
