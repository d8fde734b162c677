/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The flow table: open addressing in an array, one cache line a flow. All access to flows goes through here.
 *
 * Where: a flow's hash gives its bucket and, in it, its place (its home). Flows that find their home taken
 * lie anywhere else in the same bucket, and the home counts them in `displaced`. So a reader looks at one
 * line in most cases, also when there is no such flow, and nothing has to be left behind when a flow is
 * deleted.
 *
 * Who writes: the learner adds, XDP deletes, each on any CPU; both under the bucket's lock, so that one flow
 * is never in two places. Readers take no lock: they copy the line and then look whether `sequence` is still
 * what it was. A line that is just being written is no match. What is written without the lock can be read in
 * one piece and does no harm in a line that has another flow meanwhile: the counts, and the time when
 * conntrack was asked.
 *
 * Whose flow goes when a bucket is full: flow_insert.h.
 */
#ifndef XGW_FLOW_TABLE_H
#define XGW_FLOW_TABLE_H

#include "../maps.h"
#include "config.h"
#include "flow_count.h"
#include "flow_doubt.h"
#include "flow_key.h"
#include "tenant.h"
#include "usage.h"

#define FLOW_ENOENT 2
#define FLOW_ENOSPC 28
#define FLOW_NOWHERE (-1)
#define FLOW_COPIED_FROM 24 /* generation, … */
#define FLOW_COPIED_TO 56   /* … bytes_high */

/* Loads and stores before this come before those after it. */
static __always_inline void flow_fence(void)
{
	__u64 nothing = 0, was;

	was = __sync_fetch_and_add(&nothing, 1); /* a full barrier in every JIT */
	asm volatile("" ::"r"(was) : "memory");
}

/* The same for loads only, which x86 keeps in order anyway. */
static __always_inline void flow_read_fence(void)
{
#ifdef __TARGET_ARCH_x86
	asm volatile("" ::: "memory");
#else
	flow_fence();
#endif
}

static __always_inline struct xgw_flow_bucket *flow_bucket(__u64 hash)
{
	__u32 index = flow_bucket_index(hash);

	return bpf_map_lookup_elem(&flows, &index);
}

static __always_inline struct xgw_flow_lock *flow_lock(__u64 hash)
{
	__u32 index = flow_bucket_index(hash) & (XGW_FLOW_LOCKS - 1);

	return bpf_map_lookup_elem(&flow_locks, &index);
}

/*
 * The i-th way to look at: the home first, then its neighbours. Ways are kept, not i, which is a constant in
 * each turn of an unrolled loop: the verifier would follow each of the 32 to the program's end.
 */
static __always_inline __u32 flow_way(__u32 home, __u32 i)
{
	return (home ^ i) & (XGW_FLOW_WAYS - 1);
}

static __always_inline struct xgw_flow *flow_place(struct xgw_flow_bucket *bucket, __u32 way)
{
	return &bucket->ways[way & (XGW_FLOW_WAYS - 1)];
}

static __always_inline int flow_matches(const struct xgw_flow *place, const struct flow_words *words)
{
	return *(const volatile __u64 *)&place->key.saddr == words->addresses &&
	       *(const volatile __u64 *)&place->key.sport == words->ports_and_realm &&
	       *(const volatile __u16 *)&place->key.protocol == words->kind;
}

static __always_inline __u16 flow_sequence(const struct xgw_flow *place)
{
	return *(const volatile __u16 *)&place->sequence;
}

/* Copies a line if it is the key's and whole: all but the counts, and of the key nothing but the flags. */
static __always_inline int flow_read(const struct xgw_flow *place, const struct flow_words *words,
				     struct xgw_flow *copy)
{
	__u16 sequence = flow_sequence(place);

	flow_read_fence();
	if (sequence & 1 || !flow_matches(place, words))
		return 0;
	copy->key.flags = *(const volatile __u8 *)&place->key.flags;
	copy->tenant = *(const volatile __u16 *)&place->tenant;
	for (int at = FLOW_COPIED_FROM; at < FLOW_COPIED_TO; at += 8)
		*(__u64 *)((void *)copy + at) = *(const volatile __u64 *)((void *)place + at);
	flow_read_fence();
	return flow_sequence(place) == sequence;
}

/* The way that has it, other than the home; or FLOW_NOWHERE. Not static, as all that goes through a bucket's lines: the
 * verifier looks at it once, and not for each state in which it is called. */
__noinline __attribute__((unused)) int flow_search(struct xgw_flow_bucket *bucket, const struct xgw_flow_key *key,
						   struct xgw_flow *copy)
{
	struct flow_words words;
	__u32 home, reach;

	if (!bucket || !key || !copy)
		return FLOW_NOWHERE;
	words = flow_words(key);
	home = flow_home(flow_hash(&words));
	reach = *(volatile __u8 *)&flow_place(bucket, home)->key.reach;

#pragma clang loop unroll(disable)
	for (__u32 i = 1; i < XGW_FLOW_WAYS && i <= reach; i++) {
		__u32 way = flow_way(home, i);

		if (flow_read(flow_place(bucket, way), &words, copy))
			return way;
	}
	return FLOW_NOWHERE;
}

/* The flow's line, for the counts, and what was in it. NULL: there is no such flow. */
static __always_inline struct xgw_flow *flow_lookup(const struct xgw_flow_key *key, struct xgw_flow *copy)
{
	struct flow_words words = flow_words(key);
	__u64 hash = flow_hash(&words);
	__u32 home = flow_home(hash);
	struct xgw_flow_bucket *bucket = flow_bucket(hash);
	struct xgw_flow *place;
	int found;

	if (!bucket)
		return NULL;
	place = flow_place(bucket, home);
	if (__builtin_expect(flow_read(place, &words, copy), 1))
		return place;
	if (__builtin_expect(!*(volatile __u8 *)&place->key.reach, 1))
		return NULL;
	found = flow_search(bucket, key, copy);
	return found == FLOW_NOWHERE ? NULL : flow_place(bucket, found);
}

/* Is it this CPU's turn to ask conntrack? One CPU asks in each period; the others go on meanwhile. */
static __always_inline int flow_is_due(struct xgw_flow *place, const struct xgw_flow *copy)
{
	__u32 now = bpf_jiffies64();

	if (__builtin_expect(now - copy->checked < liveness_jiffies, 1))
		return 0;
	return __sync_val_compare_and_swap(&place->checked, copy->checked, now) == copy->checked;
}

/* What follows up to the next such line is done under the bucket's lock, and so has no calls in it. */

/* A flow, or nothing if `flow` is NULL. What belongs to the place stays. */
static __always_inline void flow_write(struct xgw_flow *place, const struct xgw_flow_key *key,
				       const struct xgw_flow *flow)
{
	__u16 sequence = place->sequence;

	*(volatile __u16 *)&place->sequence = sequence + 1;
	flow_fence();
	if (flow) {
		place->key.saddr = key->saddr;
		place->key.daddr = key->daddr;
		place->key.sport = key->sport;
		place->key.dport = key->dport;
		place->key.realm = key->realm;
		place->key.protocol = key->protocol;
		place->key.wrap = key->wrap;
		place->key.flags = flow->key.flags;
		place->tenant = flow->tenant;
		for (int at = FLOW_COPIED_FROM; at < FLOW_COPIED_TO; at += 8)
			*(__u64 *)((void *)place + at) = *(const __u64 *)((void *)flow + at);
		*(__u64 *)&place->packets = *(const __u64 *)&flow->packets;
	} else {
		place->key.protocol = 0;
		place->key.flags = 0;
	}
	flow_fence();
	*(volatile __u16 *)&place->sequence = sequence + 2;
}

/* A flow whose home this is has come to the way. */
static __always_inline void flow_reach(struct xgw_flow_bucket *bucket, __u32 home, __u32 way)
{
	struct xgw_flow *place = flow_place(bucket, home);
	__u8 far = home ^ way;

	if (place->key.reach < far)
		*(volatile __u8 *)&place->key.reach = far;
}

/* A flow whose home this is has gone from the way: if it was the farthest, how far is the next one? */
static __always_inline void flow_recede(struct xgw_flow_bucket *bucket, __u32 home, __u32 way)
{
	__u32 reach = 0;

	if (way == home || flow_place(bucket, home)->key.reach != (home ^ way))
		return;
#pragma clang loop unroll(disable)
	for (__u32 i = 1; i < XGW_FLOW_WAYS; i++) {
		__u32 other = flow_way(home, i);
		const struct xgw_flow *place = flow_place(bucket, other);
		struct flow_words words = flow_words(&place->key);

		if (place->key.protocol && flow_home(flow_hash(&words)) == home)
			reach = home ^ other;
	}
	*(volatile __u8 *)&flow_place(bucket, home)->key.reach = reach;
}

/* Where the key is (`match`) and where there is room (`room`): ways, or FLOW_NOWHERE. */
struct flow_spot {
	int match;
	int room;
};

static __always_inline struct flow_spot flow_find(struct xgw_flow_bucket *bucket, __u32 home,
						  const struct flow_words *words)
{
	struct flow_spot spot = {FLOW_NOWHERE, FLOW_NOWHERE};

#pragma clang loop unroll(disable)
	for (int i = XGW_FLOW_WAYS - 1; i >= 0; i--) {
		__u32 way = flow_way(home, i);
		const struct xgw_flow *place = flow_place(bucket, way);

		if (!place->key.protocol)
			spot.room = way;
		else if (flow_matches(place, words))
			spot.match = way;
	}
	return spot;
}

/* Under the lock no more. */

/* 0, or -ENOENT. */
__noinline __attribute__((unused)) int flow_delete(const struct xgw_flow_key *key)
{
	struct xgw_flow_bucket *bucket;
	struct xgw_flow_lock *lock;
	struct flow_words words;
	struct flow_spot spot;
	__u32 home, tenant = 0;
	__u64 hash;

	if (!key)
		return -FLOW_ENOENT;
	words = flow_words(key);
	hash = flow_hash(&words);
	home = flow_home(hash);
	bucket = flow_bucket(hash);
	lock = flow_lock(hash);
	if (!bucket || !lock)
		return -FLOW_ENOENT;
	bpf_spin_lock(&lock->lock);
	spot = flow_find(bucket, home, &words);
	if (spot.match != FLOW_NOWHERE) {
		tenant = flow_place(bucket, spot.match)->tenant;
		flow_write(flow_place(bucket, spot.match), key, NULL);
		flow_recede(bucket, home, spot.match);
	}
	bpf_spin_unlock(&lock->lock);
	if (spot.match != FLOW_NOWHERE)
		usage_change(&flow_usage, tenant, -1);
	return spot.match == FLOW_NOWHERE ? -FLOW_ENOENT : 0;
}

/* Remembers the outer source that was checked last. The lock, lest it be written to another flow that is
 * there now. */
__noinline __attribute__((unused)) int flow_remember_peer(const struct xgw_flow_key *key, __be32 peer)
{
	struct xgw_flow_bucket *bucket;
	struct xgw_flow_lock *lock;
	struct flow_words words;
	struct flow_spot spot;
	__u32 home;
	__u64 hash;

	if (!key)
		return -FLOW_ENOENT;
	words = flow_words(key);
	hash = flow_hash(&words);
	home = flow_home(hash);
	bucket = flow_bucket(hash);
	lock = flow_lock(hash);
	if (!bucket || !lock)
		return -FLOW_ENOENT;
	bpf_spin_lock(&lock->lock);
	spot = flow_find(bucket, home, &words);
	if (spot.match != FLOW_NOWHERE)
		*(volatile __be32 *)&flow_place(bucket, spot.match)->peer = peer;
	bpf_spin_unlock(&lock->lock);
	return spot.match == FLOW_NOWHERE ? -FLOW_ENOENT : 0;
}

#endif
