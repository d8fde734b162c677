/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Header templates: what the kernel put in front of an inner packet, kept once for all flows of a tenant that leave in
 * the same way. A slot is found by the hash of its contents, is written once and, its MTU and its way apart (way.h),
 * does not change as long as a flow leads to it, so a reader needs no lock. One that was left is taken up again when
 * the kernel comes back to it. The daemon gives slots back that no flow leads to any more (src/datapath/templates.ts);
 * then a template can come to be in two slots, which does no harm: the second one is left sooner, and its flows learn
 * the first.
 */
#ifndef XGW_ENCAP_H
#define XGW_ENCAP_H

#include "../maps.h"
#include "checksum.h"
#include "parse.h"
#include "usage.h"

/* With all that tenants may have three of four places are taken: a millionth of all templates finds none in so many. */
#define ENCAP_PROBES 48

static __always_inline struct xgw_encap *encap_get(__u32 id)
{
	struct xgw_encap *encap = bpf_map_lookup_elem(&encaps, &id);

	return encap && *(volatile __u32 *)&encap->state == XGW_ENCAP_READY ? encap : NULL;
}

/* Keyed as the flow table's: tenants choose some of a header's bytes, and shall not choose its place. The learner
 * hashes a template a packet, which need not be quick. */
static __always_inline __u32 encap_hash(const struct xgw_encap *encap)
{
	const __u64 *word = (const __u64 *)encap->header;
	__u64 hash = flow_seed ^ ((__u64)encap->tenant << 48 | encap->ifindex);

	for (int i = 0; i < XGW_ENCAP_MAX / 8; i++) {
		hash = (hash ^ word[i]) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 32;
	}
	return hash * 0xc2b2ae3d27d4eb4full >> 32;
}

static __always_inline int encap_equal(const struct xgw_encap *a, const struct xgw_encap *b)
{
	const __u64 *x = (const __u64 *)a->header, *y = (const __u64 *)b->header;
	__u64 different = (a->ifindex ^ b->ifindex) | (a->realm ^ b->realm) | (a->wrap ^ b->wrap) |
			  (a->length ^ b->length) | (a->tenant ^ b->tenant);

	for (int i = 0; i < XGW_ENCAP_MAX / 8; i++)
		different |= x[i] ^ y[i];
	return !different;
}

/* As if the way had never been asked for, and is due. */
static __always_inline void encap_forget_way(struct xgw_encap *slot)
{
	slot->asked = (__u32)bpf_jiffies64() - way_jiffies;
	slot->way = XGW_WAY_UNASKED;
	slot->unseen = 0;
}

static __always_inline void encap_fill(struct xgw_encap *slot, const struct xgw_encap *wanted)
{
	__sync_lock_test_and_set(&slot->state, XGW_ENCAP_WRITING);
	slot->ifindex = wanted->ifindex;
	slot->realm = wanted->realm;
	slot->wrap = wanted->wrap;
	slot->length = wanted->length;
	slot->mtu = wanted->mtu;
	slot->ip_sum = wanted->ip_sum;
	slot->tenant = wanted->tenant;
	encap_forget_way(slot);
	__builtin_memcpy(slot->header, wanted->header, XGW_ENCAP_MAX);
	__sync_lock_test_and_set(&slot->state, XGW_ENCAP_READY); /* a full barrier: contents first */
}

/* Not static, so that the verifier looks at it once. */
__noinline __attribute__((unused)) int encap_may_take(__u32 tenant)
{
	return usage_admits(&encap_usage, &encap_returned, tenant, limit_of(tenant, templates), XGW_ENCAPS);
}

/* What fits the way now, for all flows of the template. */
static __always_inline void encap_set_mtu(struct xgw_encap *slot, __u16 mtu)
{
	if (*(volatile __u16 *)&slot->mtu != mtu)
		*(volatile __u16 *)&slot->mtu = mtu;
}

/* The kernel has sent by it. */
static __always_inline void encap_confirm(struct xgw_encap *slot)
{
	if (*(volatile __u8 *)&slot->unseen)
		*(volatile __u8 *)&slot->unseen = 0;
}

/* No flow follows it from now on. One that the daemon has retired meanwhile stays retired. */
static __always_inline void encap_leave(struct xgw_encap *slot)
{
	__sync_val_compare_and_swap(&slot->state, XGW_ENCAP_READY, XGW_ENCAP_LEFT);
}

/* Is it a template with these contents that flows may follow, or may again, now that the kernel has sent by it? Not
 * static, as encap_may_take. */
__noinline __attribute__((unused)) int encap_take_up(struct xgw_encap *slot, const struct xgw_encap *wanted)
{
	__u32 state;

	if (!slot || !wanted)
		return 0;
	state = *(volatile __u32 *)&slot->state;
	if ((state != XGW_ENCAP_READY && state != XGW_ENCAP_LEFT) || !encap_equal(slot, wanted))
		return 0;
	if (wanted->wrap == XGW_WRAP_PLAIN)
		encap_set_mtu(slot, wanted->mtu); /* of tunnels XDP asks */
	if (state == XGW_ENCAP_READY) {
		encap_confirm(slot);
		return 1;
	}
	encap_forget_way(slot);
	return __sync_val_compare_and_swap(&slot->state, XGW_ENCAP_LEFT, XGW_ENCAP_READY) != XGW_ENCAP_RETIRED;
}

/* The id of the template with these contents, made when there is none. Negative: the table is full hereabouts, or the
 * tenant has its share. */
__noinline __attribute__((unused)) int encap_intern(const struct xgw_encap *wanted)
{
	__u32 hash, step;

	if (!wanted)
		return -1;
	hash = encap_hash(wanted);
	step = hash >> 16 | 1;
	/* In steps of its own, so that it does not matter where the others lie together. */
	for (__u32 i = 0; i < ENCAP_PROBES; i++) {
		__u32 id = (hash + i * step) & (XGW_ENCAPS - 1);
		struct xgw_encap *slot = bpf_map_lookup_elem(&encaps, &id);
		__u32 *taken = bpf_map_lookup_elem(&encaps_taken, &id);

		if (!slot || !taken)
			return -1;
		if (!*(volatile __u32 *)taken && encap_may_take(wanted->tenant) &&
		    !__sync_val_compare_and_swap(taken, 0, 1)) {
			usage_take(&encap_usage, wanted->tenant);
			encap_fill(slot, wanted);
			return id;
		}
		if (encap_take_up(slot, wanted))
			return id;
	}
	count_loss(wanted->tenant, templates_refused);
	return -1;
}

/* In words: the compiler, who knows nothing of the packet's alignment, would copy byte by byte. */
static __always_inline void copy_header(void *to, const void *from, __u32 length)
{
	__u32 at = 0;

	for (; at + 8 <= length; at += 8)
		*(__u64 *)(to + at) = *(const __u64 *)(from + at);
	for (; at < length; at += 2)
		*(__u16 *)(to + at) = *(const __u16 *)(from + at);
}

/* What lies behind the `length` bytes that every template of its wrap has: as much as there are bytes of tags. */
static __always_inline void copy_rest(void *to, const void *from, __u32 length, __u32 tag_bytes)
{
	if (tag_bytes >= TAG_BYTES)
		*(__u32 *)(to + length) = *(const __u32 *)(from + length);
	if (tag_bytes == 2 * TAG_BYTES)
		*(__u32 *)(to + length + TAG_BYTES) = *(const __u32 *)(from + length + TAG_BYTES);
}

/* An Ethernet header and tags are all that a plain packet has in front. 0, or negative as below. */
static __always_inline int encap_write_plain(void *data, void *end, const struct xgw_encap *encap)
{
	if (data + uplink_tag_bytes + ETH_HLEN > end)
		return -1;
	copy_header(data, encap->header, ETH_HLEN);
	copy_rest(data, encap->header, ETH_HLEN, uplink_tag_bytes);
	return 0;
}

/*
 * Writes the outer headers over the first `length` bytes of the packet, which the caller has made room for.
 * The outer ECN is the inner packet's, CE made ECT(0), as the kernel's tunnels do (INET_ECN_encapsulate, RFC
 * 3168 section 9.1). `inner_length`: of the inner IP packet, bytes. 0, or negative when the packet is too
 * short, which it is not.
 */
static __always_inline int encap_write(void *data, void *end, const struct xgw_encap *encap, __u32 inner_length,
				       __u8 inner_tos)
{
	__u32 tag_bytes = underlay_tag_bytes;
	const struct iphdr *from = (const void *)encap->header + tag_bytes + ETH_HLEN;
	struct iphdr *ip = data + tag_bytes + ETH_HLEN;
	__be16 length = bpf_htons(encap->length - tag_bytes - ETH_HLEN + inner_length);
	__u8 ecn = inner_tos & 3;

	if (uplink_ifindex && encap->wrap == XGW_WRAP_PLAIN)
		return encap_write_plain(data, end, encap);
	if (encap->wrap == XGW_WRAP_GRETAP) {
		if (data + tag_bytes + GRETAP_INNER_OFFSET > end)
			return -1;
		copy_header(data, encap->header, GRETAP_INNER_OFFSET);
		copy_rest(data, encap->header, GRETAP_INNER_OFFSET, tag_bytes);
	} else {
		if (data + tag_bytes + GRE_INNER_OFFSET > end)
			return -1;
		copy_header(data, encap->header, GRE_INNER_OFFSET);
		copy_rest(data, encap->header, GRE_INNER_OFFSET, tag_bytes);
	}
	if (ecn == 3)
		ecn = 2;
	ip->tos = from->tos | ecn;
	ip->tot_len = length;
	ip->check = ~sum_fold(encap->ip_sum + length + bpf_htons(ecn));
	return 0;
}

#endif
