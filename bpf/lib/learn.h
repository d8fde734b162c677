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
#include "close.h"
#include "ct.h"
#include "encap.h"
#include "entrance.h"
#include "events.h"
#include "flow_insert.h"
#include "nic_mac.h"
#include "parse.h"
#include "tenant.h"

/* A packet as it leaves, with the tenant that it belongs to, and the side by which it came in. */
struct departure {
	struct xgw_encap encap;
	struct xgw_tuple tuple; /* inner, as it leaves */
	__u32 id;		/* tenant */
	__u32 rule;		/* slot in rules, of its connection's */
	__u32 checked;		/* jiffies, when its flow has asked conntrack */
	__u16 zone;
	__u8 learnable; /* nothing odd in the headers */
	__u8 has_tuple; /* else it is all zero */
	__u8 from_wrap;
	__u32 from_realm;
	__be32 source;	 /* inner */
	__be32 peer;	 /* the outer source that its flow's packets come with; 0 for plain ones */
	__be32 endpoint; /* outer destination; 0 for a plain packet */
	__u32 packets;	 /* on the wire: more than one where this is a GSO packet */
	__u32 bytes;	 /* of their inner IP packets */
};

/* Sets packets and bytes; `at`: where the IP header is in the skb. A GSO packet is cut in pieces of at most gso_size,
 * each with headers of its own. */
static __always_inline void measure_departure(struct __sk_buff *skb, struct departure *d, const struct iphdr *ip,
					      __u32 at)
{
	__u32 headers = ip->ihl * 4, payload;
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

/* The side's tags, all of them and no others; the outermost is in the skb's metadata until the driver puts it in. */
static __always_inline int load_tags(struct __sk_buff *skb, __be32 *words, __u32 bytes, const __be32 *tags)
{
	__u32 held = skb->vlan_present ? TAG_BYTES : 0;

	if (bytes < held)
		return -1;
	if (held)
		words[0] = bpf_htonl(bpf_ntohs(skb->vlan_proto) << 16 | (skb->vlan_tci & 0xffff));
	if (bytes > held && bpf_skb_load_bytes(skb, TAGS_OFFSET, (void *)words + held, bytes - held))
		return -1;
	return is_tagged(words, bytes, tags) ? 0 : -1;
}

/* Ethernet header, tags and `more` bytes behind them, as they will be on the wire. */
static __always_inline int load_header(struct __sk_buff *skb, struct xgw_encap *encap, __u32 bytes, const __be32 *tags,
				       __u32 more)
{
	__u32 held = skb->vlan_present ? TAG_BYTES : 0;
	__be32 words[2];

	if (load_tags(skb, words, bytes, tags) || bpf_skb_load_bytes(skb, 0, encap->header, TAGS_OFFSET))
		return -1;
	if (bytes >= TAG_BYTES)
		*(__be32 *)(encap->header + TAGS_OFFSET) = words[0];
	if (bytes == 2 * TAG_BYTES)
		*(__be32 *)(encap->header + TAGS_OFFSET + TAG_BYTES) = words[1];
	return bpf_skb_load_bytes(skb, TAGS_OFFSET + bytes - held, encap->header + TAGS_OFFSET + bytes,
				  sizeof(__be16) + more);
}

/* The IP packet at an offset from the start of the frame as it will be on the wire. Negative: there is none. */
static __always_inline int load_inner(struct __sk_buff *skb, __u32 offset, struct departure *d)
{
	__u32 at = offset - (skb->vlan_present ? TAG_BYTES : 0);
	struct {
		struct iphdr ip;
		__be16 source;
		__be16 dest;
	} inner;

	if (bpf_skb_load_bytes(skb, at, &inner.ip, sizeof(inner.ip)) || inner.ip.version != 4)
		return -1;
	measure_departure(skb, d, &inner.ip, at);
	d->source = inner.ip.saddr;
	if (inner.ip.ihl != 5 || is_fragment(inner.ip.frag_off) ||
	    (inner.ip.protocol != IPPROTO_TCP && inner.ip.protocol != IPPROTO_UDP) ||
	    bpf_skb_load_bytes(skb, at + sizeof(inner.ip), &inner.source, 4))
		return 0;
	d->has_tuple = 1;
	d->tuple.saddr = inner.ip.saddr;
	d->tuple.daddr = inner.ip.daddr;
	d->tuple.sport = inner.source;
	d->tuple.dport = inner.dest;
	d->tuple.protocol = inner.ip.protocol;
	return 0;
}

/* Into a tunnel. What does not come from the uplink comes out of the same tenant's tunnel. */
static __always_inline int parse_tunnelled(struct __sk_buff *skb, struct departure *d)
{
	struct outer *outer = (void *)d->encap.header + underlay_tag_bytes;
	struct xgw_tenant *tenant;
	__u32 wrap;

	if (underlay_tag_bytes && skb->ifindex != underlay_ifindex)
		return -1;
	/*
	 * A tunnel's device forgets by which device a packet came in (iptunnel_xmit), so one that still knows it is GRE
	 * that somebody else made and the machine forwards: no header of ours, whatever is in it.
	 */
	if (skb->ingress_ifindex)
		return -1;
	if (load_header(skb, &d->encap, underlay_tag_bytes, underlay_tags, sizeof(*outer) - ETH_HLEN))
		return -1;
	if (outer->eth.h_proto != bpf_htons(ETH_P_IP) || outer->ip.protocol != IPPROTO_GRE || outer->ip.version != 4 ||
	    outer->ip.ihl != 5 || is_fragment(outer->ip.frag_off) || outer->gre.flags != GRE_KEY_ONLY ||
	    outer->ip.saddr != underlay_address)
		return -1;
	if (outer->gre.protocol == bpf_htons(ETH_P_TEB)) {
		struct ethhdr *eth = (void *)(outer + 1);

		wrap = XGW_WRAP_GRETAP;
		if (bpf_skb_load_bytes(skb, underlay_tag_bytes + GRE_INNER_OFFSET - (skb->vlan_present ? TAG_BYTES : 0),
				       eth, ETH_HLEN))
			return -1;
		if (eth->h_proto != bpf_htons(ETH_P_IP))
			return -1;
	} else if (outer->gre.protocol == bpf_htons(ETH_P_IP)) {
		wrap = XGW_WRAP_GRE;
	} else {
		return -1;
	}
	d->encap.realm = bpf_ntohl(outer->gre.key);
	tenant = tenant_by_key(d->encap.realm);
	if (!tenant || tenant->wrap != wrap || !is_peer(tenant->id, outer->ip.daddr))
		return -1;
	d->encap.wrap = wrap;
	d->encap.mtu = tenant->mtu;
	d->id = tenant->id;
	d->zone = tenant->zone;
	d->endpoint = outer->ip.daddr;
	if (uplink_ifindex && skb->tc_index & FROM_UPLINK) {
		d->from_wrap = XGW_WRAP_PLAIN;
	} else {
		d->from_wrap = wrap;
		d->from_realm = d->encap.realm;
	}
	/* Without DF a constant id would not do (RFC 6864). */
	d->learnable = (outer->ip.frag_off & bpf_htons(0x4000)) != 0;
	return load_inner(skb, inner_offset(wrap), d);
}

/*
 * By the uplink. The device that it came in by says whose it is (of the stack's packets the VRF, of the flowtable's the
 * tunnel). One with a source that is not this tenant's teaches nothing; that it is here at all, the nft rules are
 * missing.
 */
static __always_inline int parse_uplink(struct __sk_buff *skb, struct departure *d)
{
	struct ethhdr *eth = (void *)d->encap.header + uplink_tag_bytes;
	struct xgw_public_ip *public;
	struct xgw_tenant *tenant;
	__u32 id;

	if (skb->ifindex != uplink_ifindex)
		return -1;
	__builtin_memset(d, 0, sizeof(*d));
	id = tenant_of_device(skb->ingress_ifindex);
	if (!id || load_header(skb, &d->encap, uplink_tag_bytes, uplink_tags, 0))
		return -1;
	if (eth->h_proto != bpf_htons(ETH_P_IP) || load_inner(skb, uplink_tag_bytes + ETH_HLEN, d))
		return -1;
	d->id = id;
	d->encap.wrap = XGW_WRAP_PLAIN;
	public = public_ip(d->source);
	tenant = public && public->tenant == id ? tenant_by_key(public->key) : NULL;
	if (!tenant) {
		d->has_tuple = 0;
		return 0;
	}
	d->learnable = 1;
	d->encap.mtu = public->mtu;
	d->zone = tenant->zone;
	d->from_wrap = tenant->wrap;
	d->from_realm = public->key;
	return 0;
}

/* Reads the headers. 0, or negative for a packet that is no tenant's. */
static __always_inline int parse_departure(struct __sk_buff *skb, struct departure *d)
{
	if (parse_tunnelled(skb, d) && (!uplink_ifindex || parse_uplink(skb, d)))
		return -1;
	d->encap.ifindex = skb->ifindex;
	d->encap.tenant = d->id;
	d->encap.length = inner_offset(d->encap.wrap);
	return 0;
}

/* What differs from packet to packet is taken out of the outer IP header, and the rest is summed. */
static __always_inline void finish_template(struct xgw_encap *encap)
{
	struct outer *outer = (void *)encap->header + underlay_tag_bytes;
	const __u16 *word = (const void *)outer + ETH_HLEN;
	__u32 sum = 0;

	if (uplink_ifindex && encap->wrap == XGW_WRAP_PLAIN)
		return;
	outer->ip.tos &= ~3;
	outer->ip.tot_len = 0;
	outer->ip.id = 0;
	outer->ip.check = 0;
	for (int i = 0; i < 10; i++)
		sum += word[i];
	encap->ip_sum = sum_fold(sum);
}

/* By a template of a tunnel: what the NIC takes frames of the underlay by. */
static __always_inline void remember_mac(const struct xgw_encap *encap)
{
	const __u16 *source = (const __u16 *)((const struct ethhdr *)encap->header)->h_source;
	union {
		__u16 parts[4];
		__u64 word;
	} mac = {{source[0], source[1], source[2], 0}};

	remember_nic_mac(mac.word, encap->ifindex);
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

/* A UDP connection's flow asks when the connection becomes a stream, if that is sooner than others ask. */
static __always_inline __u32 checked_when(const struct nf_conn *ct, __u8 protocol)
{
	__u64 now = bpf_jiffies64();
	__s64 left;

	if (protocol == IPPROTO_TCP || ct->status & CT_ASSURED)
		return now;
	left = ct_until_stream(ct);
	if (left < 0)
		left = 0;
	return left < liveness_jiffies ? now + left - liveness_jiffies : now;
}

/* `direction`: of the departure. */
static __always_inline void record_connection(const struct nf_conn *ct, const struct departure *d, __u8 direction)
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
	connection.original_realm = direction ? d->encap.realm : d->from_realm;
	connection.original_wrap = direction ? d->encap.wrap : d->from_wrap;
	connection.reply_realm = direction ? d->from_realm : d->encap.realm;
	connection.reply_wrap = direction ? d->from_wrap : d->encap.wrap;
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
	flow->checked = d->checked;
}

static __always_inline int is_same(const struct xgw_flow *a, const struct xgw_flow *b)
{
	return a->saddr == b->saddr && a->daddr == b->daddr && a->sport == b->sport && a->dport == b->dport &&
	       a->encap == b->encap && a->generation == b->generation && a->rule == b->rule &&
	       a->key.flags == b->key.flags;
}

/* The kernel sends a flow by another way than its template says, and so may do with the template's other flows. */
static __always_inline void leave_way(const struct xgw_flow *known, const struct xgw_flow *flow)
{
	struct xgw_encap *encap, *other;

	if (known->encap == flow->encap || known->generation != flow->generation)
		return;
	encap = encap_get(known->encap);
	other = encap_get(flow->encap);
	if (encap && other && encap->tenant == flow->tenant && !encap_equal(encap, other))
		encap_leave(encap);
}

/* A function of its own for the sake of the stack. */
static __noinline int is_known(const struct xgw_flow_key *key, const struct xgw_flow *flow)
{
	struct xgw_flow known;

	if (!flow_lookup(key, &known))
		return 0;
	leave_way(&known, flow);
	return is_same(&known, flow);
}

static __always_inline void add_flow(const struct xgw_tuple *from, const struct departure *d, __u8 direction,
				     __u32 generation)
{
	struct xgw_flow_key key;
	struct xgw_flow flow = {};
	int encap = encap_intern(&d->encap);

	if (encap < 0)
		return;
	flow_key_of(from, d->from_realm, d->from_wrap, &key);
	make_flow(from, d, &flow);
	flow.encap = encap;
	flow.peer = d->peer;
	flow.generation = generation;
	flow.rule = d->rule;
	flow.key.flags = direction ? XGW_FLOW_REPLY : 0;
	if (is_known(&key, &flow))
		return;
	if (flow_insert(&key, &flow) >= 0)
		emit(XGW_EVENT_FLOW_BORN, XGW_REASON_NO_FLOW, &key, d->id, d->endpoint);
}

/* A function of its own for the sake of the stack. A look takes no lock, as an end does. */
static __noinline int is_followed(const struct xgw_flow_key *key)
{
	struct xgw_flow known;

	return flow_lookup(key, &known) != NULL;
}

static __always_inline void end_if_followed(const struct xgw_tuple *tuple, __u32 realm, __u8 wrap, __u32 tenant)
{
	struct xgw_flow_key key;

	flow_key_of(tuple, realm, wrap, &key);
	if (is_followed(&key))
		end_flow(&key, tenant, XGW_REASON_TCP_CONTROL);
}

/*
 * Conntrack has seen the connection close, so the flows of both directions end: now, and not when they next ask, which
 * comes first when the packet does not get as far as here.
 */
static __always_inline void end_flows(const struct xgw_tuple *from, const struct departure *d)
{
	struct xgw_tuple back = {d->tuple.daddr, d->tuple.saddr, d->tuple.dport, d->tuple.sport, d->tuple.protocol, {}};

	end_if_followed(from, d->from_realm, d->from_wrap, d->id);
	end_if_followed(&back, d->encap.realm, d->encap.wrap, d->id);
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
	__u32 generation, entered;
	__u8 found = 0;
	int failed, ready = 0, established, closes = 0;

	failed = parse_departure(skb, &d);
	entered = skb->tc_index;
	if (entered & ENTERED)
		skb->tc_index = 0; /* done with: it would stay with the skb into another gateway's namespace */
	if (failed)
		return;
	generation = generation_of(d.id);
	d.rule = rule_slot(d.id, 0);
	if (d.has_tuple)
		ct = find_connection(skb, &d, &found);
	if (ct) {
		d.rule = rule_slot(d.id, ct->mark & XGW_MARK_RULE);
		established = ct_is_established(ct, d.tuple.protocol);
		closes = d.tuple.protocol == IPPROTO_TCP && ct->status & CT_SEEN_REPLY && !established;
		ct_tuple(ct, !found, &from);
		ready = d.learnable && entered_in(entered, generation) && !(skb->mark & XGW_MARK_OWN) && established &&
			!ct_is_unusual(ct) && !expected_peer(d.id, d.from_wrap, from.saddr, &d.peer);
		if (ready) {
			d.checked = checked_when(ct, d.tuple.protocol);
			record_connection(ct, &d, !found);
		}
		bpf_ct_release(ct);
	}
	count_departure(skb, &d);
	if (closes)
		end_flows(&from, &d);
	if (!ready)
		return;
	if (d.encap.wrap != XGW_WRAP_PLAIN)
		remember_mac(&d.encap);
	finish_template(&d.encap);
	add_flow(&from, &d, !found, generation);
}

#endif
