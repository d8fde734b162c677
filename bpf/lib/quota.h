/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A tenant's quotas, asked only for what would begin a connection that the policy admits: so many a second,
 * by a bucket that holds one second's worth, and so many at one time, counted by sessions.bpf.c.
 */
#ifndef XGW_QUOTA_H
#define XGW_QUOTA_H

#include "../maps.h"
#include "limits.h"

#define SECOND_NS 1000000000ull

/* Takes what one connection costs out of the tenant's bucket; 0 when it is not in it. */
static __always_inline int take_from_bucket(__u32 tenant, __u32 per_second)
{
	struct xgw_bucket *bucket = bpf_map_lookup_elem(&buckets, &tenant);
	__u64 now = bpf_ktime_get_coarse_ns();
	__u64 full = (__u64)per_second * SECOND_NS, level, elapsed = 0;
	int taken = 0;

	if (!bucket)
		return 1;
	bpf_spin_lock(&bucket->lock);
	if (now > bucket->filled) { /* another CPU's clock may have read later */
		elapsed = now - bucket->filled;
		bucket->filled = now;
	}
	if (elapsed > SECOND_NS)
		elapsed = SECOND_NS;
	level = bucket->level + elapsed * per_second;
	if (level > full)
		level = full;
	if (level >= SECOND_NS) {
		level -= SECOND_NS;
		taken = 1;
	}
	bucket->level = level;
	bpf_spin_unlock(&bucket->lock);
	return taken;
}

static __always_inline int has_room(__u32 tenant, __u32 max_sessions)
{
	__s64 *events = bpf_map_lookup_elem(&session_events, &tenant);
	__s64 *base = bpf_map_lookup_elem(&session_base, &tenant);

	return !events || !base || *(volatile __s64 *)events + *base < (__s64)max_sessions;
}

static __always_inline int has_quota(__u32 tenant)
{
	return limit_of(tenant, sessions) || limit_of(tenant, new_per_second);
}

/* May the tenant have one more connection now? Takes it out of the bucket. */
static __noinline int quota_admits(__u32 tenant)
{
	__u32 sessions = limit_of(tenant, sessions), per_second = limit_of(tenant, new_per_second);

	if (sessions && !has_room(tenant, sessions))
		return 0;
	return !per_second || take_from_bucket(tenant, per_second);
}

#endif
