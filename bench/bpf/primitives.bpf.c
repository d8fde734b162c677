// SPDX-License-Identifier: GPL-2.0
/* What a data path is made of, each alone, to be called by the generator. */
#include "bench.h"
#include "../../bpf/lib/checksum.h"
#include "../../bpf/lib/encap.h"
#include "../../bpf/lib/parse.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set at load */
	__type(key, struct xgw_flow_key);
	__type(value, __u64);
} table SEC(".maps");

/*
 * A chain of lines: each holds the number of the next. They are spread over as much memory as the flow table
 * has, since what the page tables cost belongs to the line.
 */
#define LINE_SPACING 4
struct line {
	__u32 next;
	__u32 pad[15];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load */
	__type(key, __u32);
	__type(value, struct line);
} lines SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} devices SEC(".maps");

SEC("xdp")
int empty(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_TX;
}

/* The key that the packet at hand would have, without reading the packet. */
static __always_inline void key_of(__u32 number, struct xgw_flow_key *key)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->saddr = bench_saddr(number);
	key->sport = bench_sport(number);
}

SEC("xdp")
int hash_fill(struct xdp_md *ctx)
{
	struct bench_state *state = bench_state();
	struct xgw_flow_key key;
	__u64 value = 1;

	(void)ctx;
	if (!state)
		return XDP_ABORTED;
	key_of(bench_following(state), &key);
	return bpf_map_update_elem(&table, &key, &value, BPF_ANY) ? XDP_ABORTED : XDP_TX;
}

SEC("xdp")
int hash_lookup(struct xdp_md *ctx)
{
	struct bench_state *state = bench_state();
	struct xgw_flow_key key;
	__u64 *value;

	(void)ctx;
	if (!state)
		return XDP_ABORTED;
	key_of(state->number, &key);
	value = bpf_map_lookup_elem(&table, &key);
	return value && *value ? XDP_TX : XDP_ABORTED;
}

SEC("xdp")
int chase_fill(struct xdp_md *ctx)
{
	struct bench_state *state = bench_state();
	struct line *line;
	__u32 number;

	(void)ctx;
	if (!state)
		return XDP_ABORTED;
	number = state->number * LINE_SPACING;
	line = bpf_map_lookup_elem(&lines, &number);
	if (!line)
		return XDP_ABORTED;
	line->next = bench_next(state) * LINE_SPACING;
	return XDP_TX;
}

__u32 chase_at;

/* The same with one line only. */
SEC("xdp")
int chase_hot(struct xdp_md *ctx)
{
	__u32 number = chase_at;
	struct line *line = bpf_map_lookup_elem(&lines, &number);

	(void)ctx;
	if (!line)
		return XDP_ABORTED;
	chase_at = line->next & 0;
	return XDP_TX;
}

/* One line a packet, and no way to know the next before this one has arrived. */
SEC("xdp")
int chase(struct xdp_md *ctx)
{
	__u32 number = chase_at;
	struct line *line = bpf_map_lookup_elem(&lines, &number);

	(void)ctx;
	if (!line)
		return XDP_ABORTED;
	chase_at = line->next;
	return XDP_TX;
}

SEC("xdp")
int parse(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct arrival a = {.nic = ctx->ingress_ifindex};

	if (parse_outer(data, end, frame_bytes(data, end), &a) != XGW_GO_ON || parse_inner(data, end, &a) != XGW_GO_ON)
		return XDP_ABORTED;
	return a.key.saddr && a.key.sport && a.key.realm && a.length ? XDP_TX : XDP_ABORTED;
}

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct xgw_counter);
} counters SEC(".maps");

SEC("xdp")
int counter(struct xdp_md *ctx)
{
	__u32 number = 32;
	struct xgw_counter *value = bpf_map_lookup_elem(&counters, &number);

	if (!value)
		return XDP_ABORTED;
	value->packets++;
	value->bytes += ctx->data_end - ctx->data;
	return XDP_TX;
}

/* New outer headers from a template, new inner addresses and ports, three checksums: no decision, no lookup.
 */
SEC("xdp")
int rewrite(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct bench_state *state = bench_state();
	struct iphdr *outer = data + ETH_HLEN, *ip = data + GRETAP_INNER_OFFSET;
	struct tcphdr *tcp = (void *)(ip + 1);

	if (!state || (void *)(tcp + 1) > end)
		return XDP_ABORTED;
	copy_header(data, state->frame, GRETAP_INNER_OFFSET);
	outer->tot_len = bpf_htons(100 + state->mask);
	outer->check = ~sum_fold(state->inner + outer->tot_len);
	ip->saddr = state->length;
	ip->daddr = state->inner;
	ip->ttl--;
	ip->check = checksum_apply(ip->check, state->mask);
	tcp->source = state->length;
	tcp->dest = state->inner;
	tcp->check = checksum_apply(tcp->check, state->mask);
	return XDP_TX;
}

SEC("xdp")
int head_push(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_head(ctx, -14) ? XDP_ABORTED : XDP_TX;
}

SEC("xdp")
int head_pop(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_head(ctx, 14) ? XDP_ABORTED : XDP_TX;
}

SEC("xdp")
int redirect(struct xdp_md *ctx)
{
	(void)ctx;
	return bpf_redirect_map(&devices, 1, XDP_ABORTED);
}

char _license[] SEC("license") = "GPL";
