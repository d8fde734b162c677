// SPDX-License-Identifier: GPL-2.0
/*
 * A test run does not restore the packet between its repeats, so a program that rewrites headers would see
 * its own output. This program makes the packet anew, for the next flow, and tail-calls the program under
 * test.
 */
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include "bench.h"
#include "../../bpf/lib/checksum.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

/* The offset is a constant, so that all accesses are at constant offsets. */
static __always_inline int patch(void *data, void *end, __u32 offset, __u32 number, int is_reply)
{
	struct iphdr *ip = data + offset;
	struct tcphdr *tcp = (void *)(ip + 1);
	__be32 saddr = bench_saddr(number);
	__be16 sport = bench_sport(number);

	if ((void *)(tcp + 1) > end)
		return -1;
	if (is_reply) {
		ip->daddr = saddr;
		tcp->dest = sport;
	} else {
		ip->saddr = saddr;
		tcp->source = sport;
	}
	ip->check = checksum_apply(ip->check, sum_address(saddr));
	if (ip->protocol == IPPROTO_TCP) {
		tcp->check = checksum_apply(tcp->check, sum_address(saddr) + sport);
	} else {
		struct udphdr *udp = (void *)tcp;

		udp->check = checksum_apply(udp->check, sum_address(saddr) + sport);
	}
	return 0;
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	struct bench_state *state = bench_state();
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 length = end - data;
	__u32 number;

	if (!state)
		return XDP_ABORTED;
	asm volatile("" : "+r"(length)); /* the verifier has no 32-bit arithmetic on pointers */
	/* Always called, also to move by nothing: the cost is the same for every program under test. */
	if (bpf_xdp_adjust_head(ctx, (int)length - (int)state->length))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + BENCH_HEADERS > end)
		return XDP_ABORTED;
	__builtin_memcpy(data, state->frame, BENCH_HEADERS);
	number = state->base + bench_next(state);
	if (state->keys && state->inner > 14) {
		*(__be32 *)(data + GRE_KEY_OFFSET) = bpf_htonl(bench_key(state, number));
		if (state->inner == GRETAP_OFFSET)
			*(__be32 *)(data + MAC_KEY_IN_OFFSET) = bpf_htonl(bench_key(state, number));
	}
	switch (state->inner) {
	case 56:
		if (patch(data, end, 56, number, state->replies))
			return XDP_ABORTED;
		break;
	case 42:
		if (patch(data, end, 42, number, state->replies))
			return XDP_ABORTED;
		break;
	case 14:
		if (patch(data, end, 14, number, state->replies))
			return XDP_ABORTED;
		break;
	}
	bpf_tail_call(ctx, &target, 0);
	return XDP_ABORTED;
}

char _license[] SEC("license") = "GPL";
