/* SPDX-License-Identifier: GPL-2.0 */
/* Keys of flows: as words, as a hash, as a place in the flow table, and that of the other direction. */
#ifndef XGW_FLOW_KEY_H
#define XGW_FLOW_KEY_H

#include "../shared.h"
#include "config.h"

/* A key as the words that are compared. */
struct flow_words {
	__u64 addresses;
	__u64 ports_and_realm;
	__u16 kind;
};

static __always_inline struct flow_words flow_words(const struct xgw_flow_key *key)
{
	struct flow_words words = {
	    .addresses = *(const __u64 *)&key->saddr,
	    .ports_and_realm = *(const __u64 *)&key->sport,
	    .kind = *(const __u16 *)&key->protocol,
	};

	return words;
}

/* Two rounds of multiplication and folding; any bits of the result will do. */
static __always_inline __u64 flow_hash(const struct flow_words *words)
{
	__u64 hash = (words->addresses ^ flow_seed) * 0x9e3779b97f4a7c15ull;

	hash ^= hash >> 32;
	hash = (hash ^ words->ports_and_realm) + words->kind * 0xd6e8feb86659fd93ull;
	hash *= 0xc2b2ae3d27d4eb4full;
	return hash ^ (hash >> 32);
}

static __always_inline __u32 flow_home(__u64 hash)
{
	return hash & (XGW_FLOW_WAYS - 1);
}

static __always_inline __u32 flow_bucket_index(__u64 hash)
{
	return (hash / XGW_FLOW_WAYS) & (flow_buckets - 1);
}

/* The key of packets with the tuple that arrive there. */
static __always_inline void flow_key_of(const struct xgw_tuple *tuple, __u32 realm, __u8 wrap, struct xgw_flow_key *key)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->realm = realm;
	key->saddr = tuple->saddr;
	key->daddr = tuple->daddr;
	key->sport = tuple->sport;
	key->dport = tuple->dport;
	key->protocol = tuple->protocol;
	key->wrap = wrap;
}

/* The key of the other direction: what this one sends, turned round, where this one sends it. */
static __always_inline void flow_reverse_key(const struct xgw_flow_key *key, const struct xgw_flow *flow,
					     const struct xgw_encap *encap, struct xgw_flow_key *reverse)
{
	__builtin_memset(reverse, 0, sizeof(*reverse));
	reverse->realm = encap->realm;
	reverse->saddr = flow->daddr;
	reverse->daddr = flow->saddr;
	reverse->sport = flow->dport;
	reverse->dport = flow->sport;
	reverse->protocol = key->protocol;
	reverse->wrap = encap->wrap;
}

#endif
