/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How a flow gets a place in the table, and who has to go for it. Free places are anybody's. When a bucket is full, a
 * new flow takes the place of one that is followed no more (its tenant has changed) or is dead by its age; else, if its
 * tenant is within its share, of one of a tenant over its share, the one idle the longest; else of its own tenant's,
 * the one idle the longest, as long as it is idle; else it stays with the kernel. So nobody takes from a tenant that is
 * within its share.
 */
#ifndef XGW_FLOW_INSERT_H
#define XGW_FLOW_INSERT_H

#include "flow_table.h"
#include "settings.h"

/* A line that may be given to another flow, as it was seen. */
struct flow_victim {
	int way; /* or FLOW_NOWHERE: there is none */
	__u16 sequence;
	__u8 is_live; /* it would have been followed */
};

/* Has the tenant more lines than its share, with so many to come? */
static __always_inline int flow_is_over_share(__u32 tenant, __u32 more)
{
	__u32 share = limit_of(tenant, flows);

	return share && usage_of(&flow_usage, tenant) + more > share;
}

static __always_inline int flow_is_dead(const struct xgw_flow *place, __u32 age)
{
	__u32 timeout;

	if (place->generation != generation_of(place->tenant))
		return 1;
	timeout = place->key.protocol == 6 /* TCP */ ? setting(tcp_timeout_jiffies) : setting(udp_timeout_jiffies);
	return timeout && age > timeout;
}

enum flow_rank { FLOW_STAYS, FLOW_OWN, FLOW_OVER_SHARE, FLOW_DEAD };

/*
 * Why a line may go for a flow of the tenant; `age`: jiffies since it asked conntrack, `idle`: from more on it is idle,
 * `may_take`: others' too. Not static, so that the verifier looks at it once, and not for each line of a bucket.
 */
__noinline __attribute__((unused)) __u32 flow_rank(const struct xgw_flow *place, __u32 tenant, __u32 age, __u32 idle,
						   __u32 may_take)
{
	if (!place)
		return FLOW_STAYS;
	if (flow_is_dead(place, age))
		return FLOW_DEAD;
	if (place->tenant == tenant)
		return age > idle ? FLOW_OWN : FLOW_STAYS;
	return may_take && flow_is_over_share(place->tenant, 0) ? FLOW_OVER_SHARE : FLOW_STAYS;
}

/* Which line a tenant's flow may have in a full bucket; `age`: jiffies since the flow itself asked conntrack. */
__noinline __attribute__((unused)) int flow_choose(struct xgw_flow_bucket *bucket, __u32 tenant, __u32 age,
						   struct flow_victim *victim)
{
	__u32 now = bpf_jiffies64(), idle = age < liveness_jiffies ? liveness_jiffies - 1 : age;
	__u32 may_take = !flow_is_over_share(tenant, 1);
	__u64 best = 0;

	if (!bucket || !victim)
		return FLOW_NOWHERE;
	victim->way = FLOW_NOWHERE;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < XGW_FLOW_WAYS; i++) {
		__u32 way = flow_way(now, i);
		const struct xgw_flow *place = flow_place(bucket, way);
		__u16 before = flow_sequence(place);
		__s32 age_seen = now - place->checked; /* below 0: another CPU's clock is ahead */
		__u32 its_age = age_seen < 0 ? 0 : age_seen;
		__u64 rank;

		flow_fence();
		rank = flow_rank(place, tenant, its_age, idle, may_take);
		if (!rank)
			continue;
		rank = rank << 32 | its_age;
		if (rank > best) {
			best = rank;
			victim->way = way;
			victim->sequence = before;
			victim->is_live = rank >> 32 != FLOW_DEAD;
		}
	}
	return victim->way;
}

/* Counts a line that is a tenant's now, and of whom it was; `was` is negative: nobody's. */
static __always_inline void flow_count_line(__u32 tenant, int was)
{
	if ((int)tenant == was)
		return;
	usage_change(&flow_usage, tenant, 1);
	if (was >= 0)
		usage_change(&flow_usage, was, -1);
}

/*
 * Puts the flow where its key is, where there is room, or, if the line is still the same, in the victim's place. 0; 1
 * when a flow that would have been followed had to go for it; or -ENOSPC.
 */
__noinline __attribute__((unused)) int flow_put(struct xgw_flow_bucket *bucket, const struct xgw_flow_key *key,
						const struct xgw_flow *flow, const struct flow_victim *victim)
{
	int victims_way, is_live, result = -FLOW_ENOSPC, was = -1;
	struct xgw_flow_lock *lock;
	struct xgw_flow *evicted;
	struct flow_words words;
	struct flow_spot spot;
	__u16 sequence;
	__u32 home;
	__u64 hash;

	if (!bucket || !key || !flow || !victim)
		return result;
	words = flow_words(key);
	hash = flow_hash(&words);
	home = flow_home(hash);
	lock = flow_lock(hash);
	victims_way = victim->way;
	is_live = victim->is_live;
	sequence = victim->sequence;
	evicted = flow_place(bucket, victims_way);
	if (!lock)
		return result;
	bpf_spin_lock(&lock->lock);
	spot = flow_find(bucket, home, &words);
	if (spot.match != FLOW_NOWHERE) {
		was = flow_place(bucket, spot.match)->tenant;
		flow_write(flow_place(bucket, spot.match), key, flow);
		result = 0;
	} else if (spot.room != FLOW_NOWHERE) {
		flow_write(flow_place(bucket, spot.room), key, flow);
		flow_reach(bucket, home, spot.room);
		result = 0;
	} else if (victims_way != FLOW_NOWHERE && evicted->sequence == sequence) {
		struct flow_words its_words = flow_words(&evicted->key);
		__u32 its_home = flow_home(flow_hash(&its_words));

		was = evicted->tenant;
		flow_write(evicted, key, flow);
		flow_recede(bucket, its_home, victims_way);
		flow_reach(bucket, home, victims_way);
		result = is_live;
	}
	bpf_spin_unlock(&lock->lock);
	if (result >= 0)
		flow_count_line(flow->tenant, was);
	if (result > 0)
		count_loss(was, flows_evicted);
	return result;
}

/* Adds or replaces; as flow_put, and a flow that gets no place is counted for its tenant. */
static __always_inline int flow_insert(const struct xgw_flow_key *key, const struct xgw_flow *flow)
{
	struct flow_words words = flow_words(key);
	struct xgw_flow_bucket *bucket = flow_bucket(flow_hash(&words));
	struct flow_victim victim = {.way = FLOW_NOWHERE};
	int result;

	if (!bucket)
		return -FLOW_ENOSPC;
	result = flow_put(bucket, key, flow, &victim);
	if (result >= 0)
		return result;
	if (flow_choose(bucket, flow->tenant, (__u32)bpf_jiffies64() - flow->checked, &victim) != FLOW_NOWHERE)
		result = flow_put(bucket, key, flow, &victim);
	if (result < 0)
		count_loss(flow->tenant, flows_refused);
	return result;
}

#endif
