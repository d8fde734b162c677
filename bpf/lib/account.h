/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who was served, by which rule and by which tier: each packet that is forwarded is counted here, once, where it
 * leaves: XDP's by XDP, the kernel's by the learner. Each CPU has counters of its own, and nothing on it comes between
 * the reading and the writing of one (programs of both hooks run with softirqs off), so no packet is lost to the count.
 */
#ifndef XGW_ACCOUNT_H
#define XGW_ACCOUNT_H

#include "../maps.h"
#include "usage.h"

#define RULE_PLACES (XGW_RULES - XGW_RULE_RESTS)
/* As of templates (encap.h). */
#define RULE_PROBES 48
/* Steps of so many kinds, 1 more than a multiple of 6: no factor of 2 or 3, which are those of the number of places. */
#define RULE_STEPS (RULE_PLACES / 6)
_Static_assert(RULE_PLACES == 3 << 13, "rule_slot: steps");

/* Not static, so that the verifier looks at it once. */
__noinline __attribute__((unused)) int rule_may_take(__u32 tenant)
{
	return usage_admits(&rule_usage, &rule_returned, tenant, limit_of(tenant, rules), RULE_PLACES);
}

/*
 * The slot of a tenant's rule, taken when there is none. The daemon frees a tenant's slots when no packet of its can be
 * under way any more; a rule may then be found a second slot nearer to its hash, and whoever reads adds them up. A rule
 * for which there is no room, or none in the tenant's share, is counted with the tenant's rest.
 */
__noinline __attribute__((unused)) __u32 rule_slot(__u32 tenant, __u32 mark)
{
	__u64 wanted = (__u64)tenant << 32 | mark, hash = wanted * 0x9e3779b97f4a7c15ull;
	__u32 step;

	if (!mark)
		return tenant & (XGW_RULE_RESTS - 1);
	hash ^= hash >> 32;
	step = 1 + 6 * ((hash >> 32) % RULE_STEPS);
	for (__u32 i = 0; i < RULE_PROBES; i++) {
		__u32 slot = XGW_RULE_RESTS + ((__u32)hash + i * step) % RULE_PLACES;
		__u64 *rule = bpf_map_lookup_elem(&rules, &slot), was;

		if (!rule)
			break;
		was = *(volatile __u64 *)rule;
		if (!was && rule_may_take(tenant)) {
			was = __sync_val_compare_and_swap(rule, 0, wanted);
			if (!was) {
				usage_take(&rule_usage, tenant);
				return slot;
			}
		}
		if (was == wanted)
			return slot;
	}
	count_loss(tenant, rules_refused);
	return tenant & (XGW_RULE_RESTS - 1);
}

/* `bytes`: of the inner IP packets, as they leave. */
static __always_inline void account(__u32 slot, enum xgw_tier tier, __u64 packets, __u64 bytes)
{
	struct xgw_rule_counters *counters = bpf_map_lookup_elem(&rule_stats, &slot);

	if (!counters)
		return;
	counters->tiers[tier].packets += packets;
	counters->tiers[tier].bytes += bytes;
}

#endif
