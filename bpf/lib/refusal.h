/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who was refused a moment ago, by GRE key and outer source: a flood is refused without a look into the maps
 * of tenants and peers. Each CPU has its own lines, so nobody reads what another writes. A refusal holds as
 * long as the generation of the tenant stays what it was (of slot 0 for a key that no tenant has); one that
 * is odd is that of a change under way, which nothing is remembered of.
 */
#ifndef XGW_REFUSAL_H
#define XGW_REFUSAL_H

#include "parse.h"
#include "tenant.h"

static __always_inline struct xgw_refusal *refusal_line(const struct arrival *a)
{
	__u32 hash = (a->key.realm * 0x9e3779b1u ^ a->peer) * 0x85ebca6bu;
	__u32 line = hash >> (32 - XGW_REFUSAL_BITS);

	return bpf_map_lookup_elem(&refusals, &line);
}

/* The refusal that still holds, or NULL. */
static __always_inline const struct xgw_refusal *refused_before(const struct arrival *a)
{
	const struct xgw_refusal *refusal = refusal_line(a);

	if (!refusal || refusal->realm != a->key.realm || refusal->peer != a->peer || !refusal->reason ||
	    refusal->generation != generation_of(refusal->tenant))
		return NULL;
	return refusal;
}

/* `generation`: as it was before the maps were asked. */
static __always_inline void remember_refusal(const struct arrival *a, __u32 tenant, enum xgw_reason reason,
					     __u32 generation)
{
	struct xgw_refusal *refusal = refusal_line(a);

	if (!refusal || generation & 1)
		return;
	refusal->realm = a->key.realm;
	refusal->peer = a->peer;
	refusal->generation = generation;
	refusal->tenant = tenant;
	refusal->reason = reason;
}

#endif
