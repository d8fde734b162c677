/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the generator, the filler and the primitives share: the state that user space sets, and which flow has
 * which number. Numbers are visited in a fixed pseudo-random order (a linear congruential generator of full
 * period), so that choosing the next flow touches no memory of its own.
 */
#ifndef XGW_BENCH_H
#define XGW_BENCH_H

#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "../../bpf/shared.h"

#define BENCH_HEADERS 96 /* bytes of a frame that are restored: GRETAP, IP and TCP */

struct bench_state {
	__u32 number;		   /* of the flow visited last */
	__u32 mask;		   /* flows - 1; flows is a power of two */
	__u32 length;		   /* of the frame */
	__u32 inner;		   /* offset of the inner IP header in frame */
	__u32 replies;		   /* 1: the flow's number is in the destination, not in the source */
	__u32 base;		   /* of the flows' numbers, added to each */
	__u32 keys;		   /* more than one: tenants - 1, a power of two; flows take turns with GRE keys */
	__u32 ends;		   /* more than one: tunnel endpoints - 1, a power of two; flows take turns with them */
	__u8 frame[BENCH_HEADERS]; /* of the flow with inner source address 0 and port 0 */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_state);
} bench SEC(".maps");

static __always_inline struct bench_state *bench_state(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&bench, &zero);
}

static __always_inline __u32 bench_next(struct bench_state *state)
{
	state->number = (state->number * 1664525 + 1013904223) & state->mask;
	return state->number;
}

/* For filling: another order than that of the visits, else a table's elements would lie in the order of the
 * visits. */
static __always_inline __u32 bench_following(struct bench_state *state)
{
	state->number = (state->number + 1) & state->mask;
	return state->number;
}

/* Tenants have the keys from this one on, where there are many. */
#define BENCH_FIRST_KEY 1000
#define GRE_KEY_OFFSET 38 /* behind Ethernet, IP and the first word of GRE */
/* The tunnel's own MAC address is 02:67 and the key: where that key lies when a gretap's packet comes in, and goes out.
 */
#define MAC_KEY_IN_OFFSET 44
#define MAC_KEY_OUT_OFFSET 50
#define GRETAP_OFFSET 56

static __always_inline __u32 bench_key(const struct bench_state *state, __u32 number)
{
	return BENCH_FIRST_KEY + (number & state->keys);
}

static __always_inline __be32 bench_saddr(__u32 number)
{
	return bpf_htonl(0x0a000000 + number);
}

static __always_inline __be16 bench_sport(__u32 number)
{
	return bpf_htons(1024 + (number & 0x7fff));
}

#endif
