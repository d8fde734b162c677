/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The learner: what leaves the NIC is the kernel's answer. Conntrack says which packet it answers, and the
 * two together are a flow. Anything out of the ordinary is not learned, and so stays the kernel's. Either way
 * the packet is counted: the kernel's tiers have no other place that all of their packets pass.
 */
#ifndef XGW_LEARN_H
#define XGW_LEARN_H

#include "account.h"
#include "checksum.h"
#include "ct.h"
#include "encap.h"
#include "events.h"
#include "flow_table.h"
#include "parse.h"
#include "tenant.h"

/* A packet as it leaves, with the tenant that it belongs to. */
struct departure {
	struct xgw_encap encap;
	struct xgw_tuple tuple; /* inner, as it leaves */
	__u32 id;		/* tenant */
	__u32 rule;		/* slot in rules, of its connection's */
	__u16 zone;
	__u8 learnable;	 /* nothing odd in the headers */
	__u8 has_tuple;	 /* else it is all zero */
	__be32 endpoint; /* outer destination */
	__u32 packets;	 /* on the wire: more than one where this is a GSO packet */
	__u32 bytes;	 /* of their inner IP packets */
};

/* Sets packets and bytes. A GSO packet is cut in pieces of at most gso_size, each with headers of its own. */
static __always_inline void measure_departure(struct __sk_buff *skb, struct departure *d, const struct iphdr *ip)
{
	__u32 at = d->encap.length, headers = ip->ihl * 4, payload;
	__u8 words = 0;

	d->packets = 1;
	d->bytes = bpf_ntohs(ip->tot_len);
	if (!skb->gso_size)
		return;
	if (ip->protocol == IPPROTO_TCP) {
		bpf_skb_load_bytes(skb, at + headers + 12, &words, 1);
		headers += (words >> 4) * 4;
	} else if (ip->protocol == IPPROTO_UDP) {
		headers += sizeof(struct udphdr);
	}
	payload = skb->len - at - headers;
	d->packets = (payload + skb->gso_size - 1) / skb->gso_size;
	d->bytes = payload + d->packets * headers;
}

/* Reads the headers. 0, or negative for a packet that is no tenant's. */
static __always_inline int parse_departure(struct __sk_buff *skb, struct departure *d)
{
	struct outer *outer = (struct outer *)d->encap.header;
	struct xgw_tenant *tenant;
	struct {
		struct iphdr ip;
		__be16 source;
		__be16 dest;
	} inner;
	__u32 wrap;

	if (skb->protocol != bpf_htons(ETH_P_IP) || skb->vlan_present)
		return -1;
	if (bpf_skb_load_bytes(skb, 0, outer, sizeof(*outer)))
		return -1;
	if (outer->eth.h_proto != bpf_htons(ETH_P_IP) || outer->ip.protocol != IPPROTO_GRE || outer->ip.version != 4 ||
	    outer->ip.ihl != 5 || is_fragment(outer->ip.frag_off) || outer->gre.flags != GRE_KEY_ONLY)
		return -1;
	if (outer->gre.protocol == bpf_htons(ETH_P_TEB)) {
		wrap = XGW_WRAP_GRETAP;
		d->encap.length = GRETAP_INNER_OFFSET;
		if (bpf_skb_load_bytes(skb, GRE_INNER_OFFSET, d->encap.header + GRE_INNER_OFFSET, ETH_HLEN))
			return -1;
		if (((struct ethhdr *)(d->encap.header + GRE_INNER_OFFSET))->h_proto != bpf_htons(ETH_P_IP))
			return -1;
	} else if (outer->gre.protocol == bpf_htons(ETH_P_IP)) {
		wrap = XGW_WRAP_GRE;
		d->encap.length = GRE_INNER_OFFSET;
	} else {
		return -1;
	}
	d->encap.realm = bpf_ntohl(outer->gre.key);
	d->encap.wrap = wrap;
	d->encap.ifindex = skb->ifindex;
	tenant = tenant_by_key(d->encap.realm);
	if (!tenant || tenant->wrap != wrap)
		return -1;
	d->encap.mtu = tenant->mtu;
	d->id = tenant->id;
	d->zone = tenant->zone;
	d->endpoint = outer->ip.daddr;

	if (bpf_skb_load_bytes(skb, d->encap.length, &inner.ip, sizeof(inner.ip)) || inner.ip.version != 4)
		return -1;
	measure_departure(skb, d, &inner.ip);
	if (inner.ip.ihl != 5 || is_fragment(inner.ip.frag_off) ||
	    (inner.ip.protocol != IPPROTO_TCP && inner.ip.protocol != IPPROTO_UDP) ||
	    bpf_skb_load_bytes(skb, d->encap.length + sizeof(inner.ip), &inner.source, 4))
		return 0;
	d->has_tuple = 1;
	/* Without DF a constant id would not do (RFC 6864). */
	d->learnable = (outer->ip.frag_off & bpf_htons(0x4000)) != 0;
	d->tuple.saddr = inner.ip.saddr;
	d->tuple.daddr = inner.ip.daddr;
	d->tuple.sport = inner.source;
	d->tuple.dport = inner.dest;
	d->tuple.protocol = inner.ip.protocol;
	return 0;
}

/* What differs from packet to packet is taken out of the outer IP header, and the rest is summed. */
static __always_inline void finish_template(struct xgw_encap *encap)
{
	struct outer *outer = (struct outer *)encap->header;
	const __u16 *word = (const __u16 *)(encap->header + ETH_HLEN);
	__u32 sum = 0;

	outer->ip.tos &= ~3;
	outer->ip.tot_len = 0;
	outer->ip.id = 0;
	outer->ip.check = 0;
	for (int i = 0; i < 10; i++)
		sum += word[i];
	encap->ip_sum = sum_fold(sum);
}

/* The connection that sent this packet, as a referenced conntrack entry, and the direction of its other
 * side's tuple. */
static __always_inline struct nf_conn *find_connection(struct __sk_buff *skb, const struct departure *d,
						       __u8 *direction)
{
	struct bpf_sock_tuple inverse = {};
	struct bpf_ct_opts___xgw opts;
	struct nf_conn *ct;

	inverse.ipv4.saddr = d->tuple.daddr;
	inverse.ipv4.daddr = d->tuple.saddr;
	inverse.ipv4.sport = d->tuple.dport;
	inverse.ipv4.dport = d->tuple.sport;
	ct_options(&opts, d->tuple.protocol, d->zone);
	ct = bpf_skb_ct_lookup(skb, &inverse, sizeof(inverse.ipv4), &opts, sizeof(opts));
	if (ct)
		*direction = opts.dir;
	return ct;
}

static __always_inline void record_connection(const struct nf_conn *ct, const struct departure *d)
{
	struct xgw_connection_key key = {.zone = d->zone};
	struct xgw_connection connection = {};

	ct_tuple(ct, 0, &key.original);
	if (bpf_map_lookup_elem(&conntrack, &key))
		return;
	ct_tuple(ct, 1, &connection.reply);
	connection.born = bpf_ktime_get_coarse_ns();
	connection.tenant = d->id;
	connection.rule = ct->mark;
	connection.translation = ct->status & (CT_SRC_NAT | CT_DST_NAT);
	bpf_map_update_elem(&conntrack, &key, &connection, BPF_NOEXIST);
}

/* The flow that turns `from`, as it arrived, into the departure. */
static __always_inline void make_flow(const struct xgw_tuple *from, const struct departure *d, struct xgw_flow *flow)
{
	const struct xgw_tuple *to = &d->tuple;
	__u32 addresses =
	    sum_address(~from->saddr) + sum_address(~from->daddr) + sum_address(to->saddr) + sum_address(to->daddr);

	flow->saddr = to->saddr;
	flow->daddr = to->daddr;
	flow->sport = to->sport;
	flow->dport = to->dport;
	flow->ip_delta = sum_fold(addresses + (__u16)~bpf_htons(0x0100)); /* the TTL is a word's first byte */
	flow->tenant = d->id;
	flow->checked = bpf_jiffies64();
}

static __always_inline int is_same(const struct xgw_flow *a, const struct xgw_flow *b)
{
	return a->saddr == b->saddr && a->daddr == b->daddr && a->sport == b->sport && a->dport == b->dport &&
	       a->encap == b->encap && a->generation == b->generation && a->rule == b->rule;
}

/* A function of its own for the sake of the stack. */
static __noinline int is_known(const struct xgw_flow_key *key, const struct xgw_flow *flow)
{
	struct xgw_flow known;

	return flow_lookup(key, &known) && is_same(&known, flow);
}

static __always_inline void add_flow(const struct xgw_tuple *from, const struct departure *d, __u8 direction,
				     __u32 generation)
{
	struct xgw_flow_key key = {
	    .realm = d->encap.realm, /* both sides of a tunnelled tenant come under its key */
	    .saddr = from->saddr,
	    .daddr = from->daddr,
	    .sport = from->sport,
	    .dport = from->dport,
	    .protocol = from->protocol,
	    .wrap = d->encap.wrap,
	};
	struct xgw_flow flow = {};
	int encap = encap_intern(&d->encap);

	if (encap < 0)
		return;
	make_flow(from, d, &flow);
	flow.encap = encap;
	flow.generation = generation;
	flow.rule = d->rule;
	flow.key.flags = direction ? XGW_FLOW_REPLY : 0;
	if (is_known(&key, &flow))
		return;
	if (!flow_insert(&key, &flow))
		emit(XGW_EVENT_FLOW_BORN, XGW_REASON_NO_FLOW, &key, d->id, d->endpoint);
}

/* Packets without a mark come from the flowtable, which carries nothing but TCP and UDP. */
static __always_inline void count_departure(struct __sk_buff *skb, const struct departure *d)
{
	if (skb->mark & XGW_MARK_STACK)
		account(rule_slot(d->id, skb->mark & XGW_MARK_RULE), XGW_TIER_STACK, d->packets, d->bytes);
	else if (!(skb->mark & XGW_MARK_OWN) && d->has_tuple)
		account(d->rule, XGW_TIER_FLOWTABLE, d->packets, d->bytes);
}

static __always_inline void learn(struct __sk_buff *skb)
{
	struct departure d = {};
	struct xgw_tuple from;
	struct nf_conn *ct = NULL;
	__u32 generation;
	__u8 found = 0;
	int ready = 0;

	if (parse_departure(skb, &d))
		return;
	generation = generation_of(d.id);
	d.rule = rule_slot(d.id, 0);
	if (d.has_tuple)
		ct = find_connection(skb, &d, &found);
	if (ct) {
		d.rule = rule_slot(d.id, ct->mark & XGW_MARK_RULE);
		ready = d.learnable && ct_is_established(ct, d.tuple.protocol) && !ct_is_unusual(ct);
		if (ready) {
			ct_tuple(ct, !found, &from);
			record_connection(ct, &d);
		}
		bpf_ct_release(ct);
	}
	count_departure(skb, &d);
	if (!ready)
		return;
	finish_template(&d.encap);
	add_flow(&from, &d, !found, generation);
}

#endif
