// SPDX-License-Identifier: GPL-2.0
/*
 * Both ends of a stream over many flows, for the far side of a veth pair: sends by test runs with live frames, one
 * frame a flow in turn, and counts what comes back. A test run uses its pages again as they come back, so that headers
 * are written anew each time. The inner source address is the flow's number.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define INNER 56   /* in GRE with key, bridged */
#define HEADERS 84 /* up to UDP's, bytes */

struct stream {
	__u32 flows;
	__u32 first; /* inner source address of the first flow, host byte order */
	__u64 sent;
	__u64 returned;
	__u8 frame[HEADERS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stream);
} stream SEC(".maps");

/* How often each flow came back. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << 17);
	__type(key, __u32);
	__type(value, __u32);
} returned SEC(".maps");

static __always_inline struct stream *get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&stream, &zero);
}

static __always_inline struct iphdr *inner(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + INNER;

	return (void *)(ip + 1) > end ? NULL : ip;
}

static __always_inline void set_source(struct iphdr *ip, __be32 source)
{
	const __u16 *word = (const __u16 *)ip;
	__u32 sum = 0;

	ip->saddr = source;
	ip->check = 0;
	for (int i = 0; i < 10; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = ~(sum + (sum >> 16));
}

SEC("xdp")
int stream_send(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + INNER;
	struct stream *s = get();
	__u64 number;

	if (!s || !s->flows || data + HEADERS > end)
		return XDP_ABORTED;
	__builtin_memcpy(data, s->frame, HEADERS);
	number = __sync_fetch_and_add(&s->sent, 1);
	set_source(ip, bpf_htonl(s->first + number % s->flows));
	return XDP_TX;
}

/* What comes back is a flow's packet by its source, which translation has left alone. */
SEC("xdp")
int stream_receive(struct xdp_md *ctx)
{
	struct stream *s = get();
	struct iphdr *ip = inner(ctx);
	__u32 *count, number;

	if (!s || !ip)
		return XDP_DROP;
	number = bpf_ntohl(ip->saddr) - s->first;
	count = bpf_map_lookup_elem(&returned, &number);
	if (number >= s->flows || !count)
		return XDP_DROP;
	__sync_fetch_and_add(count, 1);
	__sync_fetch_and_add(&s->returned, 1);
	return XDP_DROP;
}

char _license[] SEC("license") = "GPL";
