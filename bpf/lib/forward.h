/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The established path: a flow says what to do, and it is done in place. All checks come before the first write, so a
 * packet that goes up to the kernel is the packet that arrived.
 */
#ifndef XGW_FORWARD_H
#define XGW_FORWARD_H

#include "checksum.h"
#include "close.h"
#include "ct.h"
#include "encap.h"
#include "flow_table.h"
#include "parse.h"
#include "tenant.h"

#define ECN_MASK 3
#define ECN_NOT_ECT 0
#define ECN_CE 3

/*
 * May the outer ECN be dropped, or become CE inside? (RFC 6040, as the kernel's INET_ECN_decapsulate has it.) What else
 * there is, CE over a packet that knows no ECN for one, is the kernel's to judge.
 */
static __always_inline enum xgw_reason check_ecn(__u8 outer_tos, __u8 inner_tos, __u8 *set_ce)
{
	__u8 outer = outer_tos & ECN_MASK, inner = inner_tos & ECN_MASK;

	*set_ce = 0;
	if (outer == inner || outer == ECN_NOT_ECT || inner == ECN_CE)
		return XGW_GO_ON;
	if (outer == ECN_CE && inner != ECN_NOT_ECT) {
		*set_ce = 1;
		return XGW_GO_ON;
	}
	return XGW_REASON_ECN;
}

/* Asks conntrack every liveness_jiffies. One CPU asks; the others go on meanwhile. */
static __always_inline int is_alive(struct xdp_md *ctx, const struct xgw_flow_key *key, struct xgw_flow *flow)
{
	__u32 now = bpf_jiffies64(), checked = *(volatile __u32 *)&flow->checked;

	if (now - checked < liveness_jiffies)
		return 1;
	if (__sync_val_compare_and_swap(&flow->checked, checked, now) != checked)
		return 1;
	return ct_refresh(ctx, key, flow->zone);
}

/* Does the flow leave by a NIC that takes redirected packets? The redirect itself would drop them if not. */
static __always_inline int can_leave(struct xdp_md *ctx, const struct xgw_encap *encap)
{
	return encap->ifindex == ctx->ingress_ifindex || bpf_map_lookup_elem(&nics, &encap->ifindex) != NULL;
}

/* Everything that can send an established flow's packet up instead. */
static __always_inline enum xgw_reason check_packet(struct xdp_md *ctx, const struct arrival *a, const struct iphdr *ip,
						    struct xgw_flow *flow, const struct xgw_encap *encap, __u8 *set_ce)
{
	if (flow->generation != generation_of(flow->tenant))
		return XGW_REASON_GENERATION;
	if (a->peer != flow->peer) {
		if (!is_peer(flow->tenant, a->peer))
			return XGW_REASON_STRANGER;
		flow->peer = a->peer;
	}
	if (a->tcp_flags & (XGW_TCP_FIN | XGW_TCP_SYN | XGW_TCP_RST)) {
		close_connection(&a->key, flow, encap, a->tcp_flags);
		return XGW_REASON_TCP_CONTROL;
	}
	if (ip->ttl <= 1)
		return XGW_REASON_TTL;
	if (a->length > encap->mtu)
		return XGW_REASON_MTU;
	if (!can_leave(ctx, encap))
		return XGW_REASON_TEMPLATE;
	if (!is_alive(ctx, &a->key, flow)) {
		close_flows(&a->key, flow, encap, XGW_REASON_CT_GONE);
		return XGW_REASON_CT_GONE;
	}
	return check_ecn(a->outer_tos, ip->tos, set_ce);
}

/* Addresses, ports, TTL and checksums of the inner packet. */
static __always_inline int rewrite(void *data, void *end, const struct xgw_encap *encap, const struct xgw_flow *flow,
				   __u8 set_ce)
{
	__u32 delta = flow->ip_delta;
	struct iphdr *ip;

	ip = data + (encap->wrap == XGW_WRAP_GRETAP ? GRETAP_INNER_OFFSET : GRE_INNER_OFFSET);
	if ((void *)(ip + 1) + sizeof(struct tcphdr) > end) {
		struct udphdr *udp = (void *)(ip + 1);

		if ((void *)(udp + 1) > end || ip->protocol != IPPROTO_UDP)
			return -1;
	}
	if (set_ce) {
		__u8 tos = ip->tos | ECN_CE;

		delta += bpf_htons(tos) + (__u16)~bpf_htons(ip->tos);
		ip->tos = tos;
	}
	ip->saddr = flow->saddr;
	ip->daddr = flow->daddr;
	ip->ttl--;
	ip->check = checksum_apply(ip->check, delta);
	if (ip->protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = (void *)(ip + 1);

		if ((void *)(tcp + 1) > end)
			return -1;
		tcp->source = flow->sport;
		tcp->dest = flow->dport;
		tcp->check = checksum_apply(tcp->check, flow->l4_delta);
	} else {
		struct udphdr *udp = (void *)(ip + 1);

		if ((void *)(udp + 1) > end)
			return -1;
		udp->source = flow->sport;
		udp->dest = flow->dport;
		if (udp->check) { /* RFC 768: 0 says there is none, so a sum of 0 is sent as 0xffff */
			udp->check = checksum_apply(udp->check, flow->l4_delta);
			if (!udp->check)
				udp->check = 0xffff;
		}
	}
	return 0;
}

/* Room for the new outer header, and nothing behind the inner packet (Ethernet padding). Negative: nothing was done. */
static __always_inline int resize(struct xdp_md *ctx, const struct arrival *a, const struct xgw_encap *encap)
{
	__u32 frame = bpf_xdp_get_buff_len(ctx);
	int padding = (int)frame - (int)(a->inner + a->length);

	if (padding < 0)
		return -1;
	if (padding && bpf_xdp_adjust_tail(ctx, -padding))
		return -1;
	if (encap->length != a->inner && bpf_xdp_adjust_head(ctx, (int)a->inner - (int)encap->length))
		return -1;
	return 0;
}

/*
 * XGW_REASON_FORWARDED with *action set; XGW_REASON_STRANGER for a drop; any other reason, and the packet, untouched but
 * for padding, goes to the kernel.
 */
static __always_inline enum xgw_reason forward(struct xdp_md *ctx, const struct arrival *a, struct xgw_flow *flow,
					       int *action)
{
	struct xgw_encap *encap = encap_get(flow->encap);
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip;
	enum xgw_reason reason;
	__u8 set_ce, inner_tos;

	if (!encap)
		return XGW_REASON_TEMPLATE;
	ip = data + (a->key.wrap == XGW_WRAP_GRETAP ? GRETAP_INNER_OFFSET : GRE_INNER_OFFSET);
	if ((void *)(ip + 1) > end)
		return XGW_REASON_MALFORMED;
	reason = check_packet(ctx, a, ip, flow, encap, &set_ce);
	if (reason != XGW_GO_ON)
		return reason;
	inner_tos = set_ce ? ip->tos | ECN_CE : ip->tos;
	if (resize(ctx, a, encap))
		return XGW_REASON_MALFORMED;

	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (encap_write(data, end, encap, a->length, inner_tos) || rewrite(data, end, encap, flow, set_ce)) {
		*action = XDP_ABORTED; /* cannot be: the lengths were checked */
		return XGW_REASON_FORWARDED;
	}
	__sync_fetch_and_add(&flow->packets, 1);
	__sync_fetch_and_add(&flow->bytes, a->length);
	*action = encap->ifindex == ctx->ingress_ifindex ? XDP_TX : bpf_redirect_map(&nics, encap->ifindex, 0);
	return XGW_REASON_FORWARDED;
}

#endif
