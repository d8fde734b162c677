/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The established path: a flow says what to do, and it is done in place. All checks come before the first
 * write, so a packet that goes up to the kernel is the packet that arrived.
 */
#ifndef XGW_FORWARD_H
#define XGW_FORWARD_H

#include "checksum.h"
#include "close.h"
#include "ct.h"
#include "encap.h"
#include "flow_table.h"
#include "nic_mac.h"
#include "parse.h"
#include "tenant.h"
#include "way.h"

#define unlikely(condition) __builtin_expect(!!(condition), 0)

#define ECN_MASK 3
#define ECN_NOT_ECT 0
#define ECN_CE 3

/*
 * May the outer ECN be dropped, or become CE inside? (RFC 6040, as the kernel's INET_ECN_decapsulate has it.)
 * What else there is, CE over a packet that knows no ECN for one, is the kernel's to judge.
 */
static __always_inline enum xgw_reason check_ecn(__u8 outer_tos, __u8 inner_tos, __u8 *set_ce)
{
	__u8 outer = outer_tos & ECN_MASK, inner = inner_tos & ECN_MASK;

	*set_ce = 0;
	if (outer == inner || outer == ECN_NOT_ECT || inner == ECN_CE)
		return XGW_GO_ON;
	if (outer != ECN_CE || inner == ECN_NOT_ECT)
		return decline(XGW_REASON_ECN);
	*set_ce = 1;
	return XGW_GO_ON;
}

/* Asks conntrack every liveness_jiffies, and for what is the flow's own of its way: XGW_GO_ON, or why it has ended. */
static __always_inline enum xgw_reason check_life(struct xdp_md *ctx, const struct xgw_flow_key *key,
						  struct xgw_flow *place, const struct xgw_flow *flow,
						  const struct xgw_encap *encap)
{
	int zone;

	if (!flow_is_due(place, flow))
		return XGW_GO_ON;
	if (host_has_moved(encap, flow->daddr))
		return decline(XGW_REASON_TEMPLATE);
	zone = zone_of(key);
	return zone >= 0 && ct_keep(ctx, key, flow, zone) ? XGW_GO_ON : decline(XGW_REASON_CT_GONE);
}

/*
 * Does the flow leave by a NIC that sends what XDP sends? If not, the packets would be lost, and only a tracepoint
 * would tell (src/datapath/redirect-targets.ts).
 */
static __always_inline int can_leave(const struct arrival *a, const struct xgw_encap *encap)
{
	return (!tx_is_redirect && encap->ifindex == a->nic) || bpf_map_lookup_elem(&nics, &encap->ifindex) != NULL;
}

/*
 * Was a frame of at least 8 bytes sent to the NIC's own MAC address? From tunnel to tunnel by one NIC the template has
 * that; a plain side's was looked at before.
 */
static __always_inline int is_for_nic(const struct arrival *a, const void *data, const struct xgw_encap *encap)
{
	if (uplink_ifindex && a->key.wrap == XGW_WRAP_PLAIN)
		return 1;
	if (encap->ifindex == a->nic && encap->wrap != XGW_WRAP_PLAIN)
		return is_for_sender(data, (const struct ethhdr *)encap->header);
	return is_nic_mac(*(const __u64 *)data, a->nic);
}

/* Everything that can send an established flow's packet up instead. */
static __always_inline enum xgw_reason check_packet(struct xdp_md *ctx, const struct arrival *a, const struct iphdr *ip,
						    struct xgw_flow *place, const struct xgw_flow *flow,
						    struct xgw_encap *encap, __u8 *set_ce)
{
	enum xgw_reason reason;

	if (unlikely(flow->generation != generation_of(flow->tenant)))
		return decline(XGW_REASON_GENERATION);
	if (unlikely(a->peer != flow->peer)) {
		if (!is_peer(flow->tenant, a->peer))
			return decline(XGW_REASON_STRANGER);
		flow_remember_peer(&a->key, a->peer);
	}
	if (unlikely(a->tcp_flags & (XGW_TCP_FIN | XGW_TCP_SYN | XGW_TCP_RST))) {
		doubt_flows(&a->key, place, flow, encap);
		return decline(XGW_REASON_TCP_CONTROL);
	}
	if (ip->ttl <= 1)
		return decline(XGW_REASON_TTL);
	if (unlikely(way_is_due(encap))) {
		reason = way_ask(ctx, encap, &a->key, flow);
		if (reason != XGW_GO_ON)
			return decline(reason);
	}
	if (a->length > encap->mtu)
		return decline(XGW_REASON_MTU);
	if (!can_leave(a, encap))
		return decline(XGW_REASON_TEMPLATE);
	reason = check_life(ctx, &a->key, place, flow, encap);
	if (unlikely(reason != XGW_GO_ON)) {
		close_flows(&a->key, flow, encap, reason);
		return reason;
	}
	return check_ecn(a->outer_tos, ip->tos, set_ce);
}

/* What the addresses and ports change in a TCP or UDP checksum; ip_delta has the addresses already, and the
 * TTL. */
static __always_inline __u32 l4_delta(const struct xgw_flow_key *key, const struct xgw_flow *flow)
{
	return flow->ip_delta + bpf_htons(0x0100) + (__u16)~key->sport + (__u16)~key->dport + flow->sport + flow->dport;
}

/* Addresses, ports, TTL and checksums of the inner packet, at a constant offset. */
static __always_inline int rewrite_at(void *data, void *end, __u32 offset, const struct xgw_flow_key *key,
				      const struct xgw_flow *flow, __u8 set_ce)
{
	struct iphdr *ip = data + offset;
	struct tcphdr *tcp = (void *)(ip + 1);
	struct udphdr *udp = (void *)(ip + 1);
	__u32 delta = flow->ip_delta;

	if ((void *)(udp + 1) > end)
		return -1;
	if (key->protocol == IPPROTO_TCP) {
		if ((void *)(tcp + 1) > end)
			return -1;
		tcp->check = checksum_apply(tcp->check, l4_delta(key, flow));
	} else if (udp->check) { /* RFC 768: 0 says there is none, so a sum of 0 is sent as 0xffff */
		udp->check = checksum_apply(udp->check, l4_delta(key, flow));
		if (!udp->check)
			udp->check = 0xffff;
	}
	*(__u32 *)&udp->source = *(const __u32 *)&flow->sport;
	if (unlikely(set_ce)) {
		__u8 tos = ip->tos | ECN_CE;

		delta += bpf_htons(tos) + (__u16)~bpf_htons(ip->tos);
		ip->tos = tos;
	}
	ip->ttl--;
	ip->check = checksum_apply(ip->check, delta);
	*(__u64 *)&ip->saddr = *(const __u64 *)&flow->saddr;
	return 0;
}

static __always_inline int rewrite(void *data, void *end, const struct xgw_encap *encap, const struct xgw_flow_key *key,
				   const struct xgw_flow *flow, __u8 set_ce)
{
	if (encap->wrap == XGW_WRAP_GRETAP)
		return rewrite_at(data, end, underlay_tag_bytes + GRETAP_INNER_OFFSET, key, flow, set_ce);
	if (uplink_ifindex && encap->wrap == XGW_WRAP_PLAIN)
		return rewrite_at(data, end, uplink_tag_bytes + ETH_HLEN, key, flow, set_ce);
	return rewrite_at(data, end, underlay_tag_bytes + GRE_INNER_OFFSET, key, flow, set_ce);
}

/* Room for the new outer header, and nothing behind the inner packet (Ethernet padding). Negative: nothing
 * was done. */
static __always_inline int resize(struct xdp_md *ctx, int padding, int head)
{
	if (padding < 0)
		return -1;
	if (padding && bpf_xdp_adjust_tail(ctx, -padding))
		return -1;
	if (head && bpf_xdp_adjust_head(ctx, head))
		return -1;
	return 0;
}

/*
 * XGW_REASON_FORWARDED with *action set; XGW_REASON_STRANGER for a drop; any other reason, and the packet,
 * untouched but for padding, goes to the kernel. `flow` is what was in `place`, `bytes` the
 * frame's length.
 */
static __always_inline enum xgw_reason forward(struct xdp_md *ctx, const struct arrival *a, struct xgw_flow *place,
					       const struct xgw_flow *flow, __u64 bytes, int *action)
{
	struct xgw_encap *encap = encap_get(flow->encap);
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip;
	enum xgw_reason reason;
	__u8 set_ce, inner_tos;
	int padding, head;

	if (unlikely(!encap || encap->tenant != flow->tenant || encap->length != inner_offset(encap->wrap)))
		return decline(XGW_REASON_TEMPLATE); /* gone, another tenant's by now, or of other VLAN tags than now */
	if (data + ETH_HLEN > end)
		return decline(XGW_REASON_MALFORMED);
	if (unlikely(!is_for_nic(a, data, encap)))
		return decline(XGW_REASON_OTHER_HOST);
	ip = data + inner_offset(a->key.wrap);
	if ((void *)(ip + 1) > end)
		return decline(XGW_REASON_MALFORMED);
	reason = check_packet(ctx, a, ip, place, flow, encap, &set_ce);
	if (unlikely(reason != XGW_GO_ON))
		return reason;
	inner_tos = set_ce ? ip->tos | ECN_CE : ip->tos;
	padding = (int)bytes - (int)(a->inner + a->length);
	head = (int)a->inner - (int)encap->length;
	if (unlikely(padding || head)) {
		if (resize(ctx, padding, head))
			return decline(XGW_REASON_MALFORMED);
		data = (void *)(long)ctx->data;
		end = (void *)(long)ctx->data_end;
	}
	if (unlikely(encap_write(data, end, encap, a->length, inner_tos) ||
		     rewrite(data, end, encap, &a->key, flow, set_ce))) {
		*action = XDP_ABORTED; /* cannot be: the lengths were checked */
		return XGW_REASON_FORWARDED;
	}
	flow_count(place, a->length);
	*action = encap->ifindex == a->nic && !tx_is_redirect ? XDP_TX : bpf_redirect_map(&nics, encap->ifindex, 0);
	return XGW_REASON_FORWARDED;
}

#endif
