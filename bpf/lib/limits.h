/* SPDX-License-Identifier: GPL-2.0 */
/* What a tenant may have: a number of its own, else the share that every tenant has. */
#ifndef XGW_LIMITS_H
#define XGW_LIMITS_H

#include "../maps.h"

/* What the slot says itself. `at`: offset of the field, bytes. */
static __always_inline __u32 said_at(__u32 tenant, __u32 at)
{
	const struct xgw_limits *said = bpf_map_lookup_elem(&limits, &tenant);

	return said ? *(const volatile __u32 *)((const void *)said + at) : 0;
}

/* `at`: offset of the field, bytes. 0: there is no limit. */
static __always_inline __u32 limit_at(__u32 tenant, __u32 at)
{
	__u32 limit = said_at(tenant, at);

	return limit ? limit : said_at(0, at);
}

/* Of a field of struct xgw_limits; 0: there is no limit. */
#define limit_of(tenant, field) limit_at(tenant, __builtin_offsetof(struct xgw_limits, field))

#define said_of(tenant, field) said_at(tenant, __builtin_offsetof(struct xgw_limits, field))

/*
 * May a tenant have one more of a table that is shared out in part, and of which the rest, the pool, is anybody's?
 * `own`: the number that the config gives the tenant; 0: none. `share`: of those without, and kept for everybody; 0: no
 * limit. `all`: what all have. `room`: up to there tenants get what the config gives them; above, shares only, for the
 * numbers in a config may add up to more than any machine has.
 */
static __always_inline int may_have_one_more(__s64 used, __s64 all, __u32 own, __u32 share, __u32 pool, __u32 room)
{
	if (own)
		return used < (__s64)own && (!share || used < (__s64)share || all < (__s64)room);
	return !share || used < (__s64)share || all < (__s64)pool;
}

#endif
