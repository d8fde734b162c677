/* SPDX-License-Identifier: GPL-2.0 */
/* Puts flow after flow into the flow table, by the code that the learner uses. Included behind a flow table.
 */
#ifndef XGW_BENCH_FILL_H
#define XGW_BENCH_FILL_H

#include "bench.h"
#include "../../bpf/lib/learn.h"

/* What the learner would have seen leave: outer headers, and the inner tuple without its source. */
struct bench_departure {
	__u8 header[XGW_ENCAP_MAX];
	struct xgw_tuple tuple;
	__be32 daddr; /* as it arrived */
	__u16 dport;
	__u16 protocol;
	__u32 realm;
	__u32 tenant;
	__u32 ifindex;
	__u8 wrap;
	__u8 length;
	__u16 mtu;
	__u32 from_realm; /* where the packets of the flow arrive */
	__u32 from_wrap;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_departure);
} departure SEC(".maps");

SEC("xdp")
int fill(struct xdp_md *ctx)
{
	struct bench_state *state = bench_state();
	struct bench_departure *wanted;
	struct departure d = {};
	struct xgw_tuple from = {};
	__u32 zero = 0, number;

	(void)ctx;
	wanted = bpf_map_lookup_elem(&departure, &zero);
	if (!state || !wanted)
		return XDP_ABORTED;
	number = bench_following(state);
	from.saddr = bench_saddr(number);
	from.sport = bench_sport(number);
	from.daddr = wanted->daddr;
	from.dport = wanted->dport;
	from.protocol = wanted->protocol;
	d.tuple = wanted->tuple;
	d.tuple.saddr = from.saddr;
	d.tuple.sport = from.sport;
	d.encap.ifindex = wanted->ifindex;
	d.encap.realm = wanted->realm;
	d.encap.wrap = wanted->wrap;
	d.encap.length = wanted->length;
	d.encap.mtu = wanted->mtu;
	__builtin_memcpy(d.encap.header, wanted->header, XGW_ENCAP_MAX);
	d.id = wanted->tenant;
	d.from_realm = wanted->from_realm;
	d.from_wrap = wanted->from_wrap;
	if (state->keys) {
		d.encap.realm = bench_key(state, number);
		d.from_realm = d.encap.realm;
		d.id += number & state->keys;
		((struct outer *)d.encap.header)->gre.key = bpf_htonl(d.encap.realm);
		if (d.encap.wrap == XGW_WRAP_GRETAP) {
			__be16 *mac = (__be16 *)(d.encap.header + MAC_KEY_OUT_OFFSET);

			mac[0] = bpf_htons(d.encap.realm >> 16);
			mac[1] = bpf_htons(d.encap.realm & 0xffff);
		}
	}
	if (state->ends) {
		struct outer *outer = (struct outer *)d.encap.header;

		outer->ip.daddr = bpf_htonl(bpf_ntohl(outer->ip.daddr) + (number & state->ends));
	}
	d.rule = d.id;
	d.encap.tenant = d.id;
	finish_template(&d.encap);
	add_flow(&from, &d, 0, generation_of(d.id));
	return XDP_TX;
}

/* Looks up the flow of the packet at hand, without reading the packet. */
SEC("xdp")
int look_up(struct xdp_md *ctx)
{
	struct bench_state *state = bench_state();
	struct bench_departure *wanted;
	struct xgw_flow flow = {};
	struct xgw_flow_key key = {};
	__u32 zero = 0;

	(void)ctx;
	wanted = bpf_map_lookup_elem(&departure, &zero);
	if (!state || !wanted)
		return XDP_ABORTED;
	key.saddr = bench_saddr(state->number);
	key.daddr = wanted->daddr;
	key.sport = bench_sport(state->number);
	key.dport = wanted->dport;
	key.realm = wanted->from_realm;
	key.protocol = wanted->protocol;
	key.wrap = wanted->from_wrap;
	return flow_lookup(&key, &flow) && flow.saddr ? XDP_TX : XDP_ABORTED;
}

char _license[] SEC("license") = "GPL";

#endif
