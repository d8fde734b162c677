/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who was refused a moment ago, by GRE key and outer source: a flood is refused without a look into the maps
 * of tenants and peers. Each CPU has its own lines, so nobody reads what another writes. A refusal holds as
 * long as the generation of the tenant stays what it was (of slot 0 for a key that no tenant has); one that
 * is odd is that of a change under way, which nothing is remembered of.
 *
 * Every packet would pay for the look at a line, so that bits say beforehand who cannot have been refused: one
 * of 512 for each key and source, for all CPUs, read by each packet and written for refusals only.
 */
#ifndef XGW_REFUSAL_H
#define XGW_REFUSAL_H

#include "parse.h"
#include "tenant.h"

#define REFUSED_WORDS 8 /* three bits of the hash; six more say which bit: the upper ones, which all of it has made */

/* Cleared by the first refusal of each period, lest those of months ago pile up. */
volatile __u64 refused_lately[REFUSED_WORDS];
volatile __u64 refusal_period;

/* A period's ticks as a power of two: half a minute to five, by the kernel's HZ. */
#define REFUSAL_PERIOD_SHIFT 15

static __always_inline __u32 refusal_hash(const struct arrival *a)
{
	return (a->key.realm * 0x9e3779b1u ^ a->peer) * 0x85ebca6bu;
}

static __always_inline struct xgw_refusal *refusal_line(__u32 hash)
{
	__u32 line = hash >> (32 - XGW_REFUSAL_BITS);

	return bpf_map_lookup_elem(&refusals, &line);
}

/* No, or maybe. */
static __always_inline int may_be_refused(__u32 hash)
{
	return refused_lately[hash >> 29] >> (hash >> 23 & 63) & 1;
}

static __always_inline void mark_refused(__u32 hash)
{
	__u32 word = hash >> 29;
	__u64 period = bpf_jiffies64() >> REFUSAL_PERIOD_SHIFT, bit = 1ULL << (hash >> 23 & 63);

	if (refusal_period != period) {
		refusal_period = period;
		for (__u32 i = 0; i < REFUSED_WORDS; i++)
			refused_lately[i] = 0;
	}
	if (!(refused_lately[word] & bit))
		refused_lately[word] |= bit; /* two CPUs may lose one: the next refusal sets it */
}

/* The refusal that still holds, or NULL. */
static __always_inline const struct xgw_refusal *refused_before(const struct arrival *a)
{
	__u32 hash = refusal_hash(a);
	const struct xgw_refusal *refusal;

	if (__builtin_expect(!may_be_refused(hash), 1))
		return NULL;
	refusal = refusal_line(hash);
	if (!refusal || refusal->realm != a->key.realm || refusal->peer != a->peer || !refusal->reason ||
	    refusal->generation != generation_of(refusal->tenant))
		return NULL;
	return refusal;
}

/* `generation`: as it was before the maps were asked. */
static __always_inline void remember_refusal(const struct arrival *a, __u32 tenant, enum xgw_reason reason,
					     __u32 generation)
{
	__u32 hash = refusal_hash(a);
	struct xgw_refusal *refusal = refusal_line(hash);

	if (!refusal || generation & 1)
		return;
	mark_refused(hash);
	refusal->realm = a->key.realm;
	refusal->peer = a->peer;
	refusal->generation = generation;
	refusal->tenant = tenant;
	refusal->reason = reason;
}

#endif
