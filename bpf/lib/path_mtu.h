/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What fits the way to a tunnel endpoint. The kernel knows: by routes with `mtu lock`, and by the "fragmentation
 * needed" that routers of the underlay have sent; a route's plain `mtu` is left to the first of those. A template has
 * it as it was when the flow was learned. Whoever sends such an error, true or forged, makes XDP ask the kernel once
 * more for each template in use, and at most once a tick; what the kernel did not believe changes nothing. A flow that
 * asks conntrack asks this as well, so that what is forgotten after a while, or was missed, is noticed.
 */
#ifndef XGW_PATH_MTU_H
#define XGW_PATH_MTU_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "encap.h"
#include "parse.h"
#include "tenant.h"

#define XGW_AF_INET 2
/* BPF_FIB_LOOKUP_SKIP_NEIGH (Linux 6.3), which Debian 12's headers do not know. */
#define XGW_FIB_SKIP_NEIGH (1U << 2)

/*
 * The largest inner IP packet that fits behind a header of so many bytes, Ethernet included and tags not; `known` when
 * the kernel says no less, or has no route. Its routes count with what it has learned about them
 * (ip_mtu_from_fib_result).
 */
static __noinline __attribute__((unused)) __u32 path_mtu(void *ctx, __u32 ifindex, __be32 endpoint, __u32 header,
							 __u32 known)
{
	struct bpf_fib_lookup fib = {
	    .family = XGW_AF_INET,
	    .l4_protocol = IPPROTO_GRE,
	    .tot_len = 1, /* any: asks for the MTU, which comes in its place */
	    .ifindex = ifindex,
	    .ipv4_src = underlay_address,
	    .ipv4_dst = endpoint,
	};
	__u32 room;

	if (bpf_fib_lookup(ctx, &fib, sizeof(fib), XGW_FIB_SKIP_NEIGH))
		return known;
	room = header - ETH_HLEN;
	if (fib.mtu_result <= room)
		return known;
	room = fib.mtu_result - room;
	return room < known ? room : known;
}

/* RFC 792. (linux/icmp.h would include the C library's headers.) */
struct icmp_header {
	__u8 type;
	__u8 code;
	__be16 check;
	__be32 rest;
};
#define ICMP_UNREACHABLE 3
#define ICMP_FRAGMENTATION_NEEDED 4

/* "Fragmentation needed" about a tunnel packet. RFC 792 has at least 8 bytes of it quoted, up to GRE's key. */
struct path_mtu_news {
	struct ethhdr eth;
	struct iphdr ip;
	struct icmp_header icmp;
	struct iphdr quoted;
	struct gre_header gre;
} __attribute__((packed));

/* Errors so far, counted once a tick (bpf_jiffies64). Begins with 1: a new template has 0, and so is looked at. */
volatile __u32 path_news = 1;
volatile __u32 path_news_tick;

/* Asks the kernel what fits the way of a template for a tunnel. */
static __noinline __attribute__((unused)) int path_look(void *ctx, struct xgw_encap *encap)
{
	const struct outer *outer = (const void *)encap->header + underlay_tag_bytes;
	struct xgw_tenant *tenant = tenant_by_key(encap->realm);
	__u32 mtu;

	encap->news = path_news; /* before the look: what comes meanwhile makes for another one */
	if (!tenant || encap->wrap == XGW_WRAP_PLAIN)
		return 0;
	mtu = path_mtu(ctx, encap->ifindex, outer->ip.daddr, encap->length - underlay_tag_bytes, tenant->mtu);
	if (encap->mtu != mtu)
		*(volatile __u16 *)&encap->mtu = mtu;
	return 0;
}

/* A packet for the gateway itself; `frame` is where the frame would begin without tags (lib/vlan.h). The kernel gets
 * it, too. */
static __always_inline void heed_path_mtu(void *frame, void *end)
{
	struct path_mtu_news *news = frame;
	__u32 now = bpf_jiffies64();
	struct xgw_tenant *tenant;

	if ((void *)(news + 1) > end || news->eth.h_proto != bpf_htons(ETH_P_IP) || news->ip.protocol != IPPROTO_ICMP ||
	    news->ip.version != 4 || news->ip.ihl != 5 || is_fragment(news->ip.frag_off) ||
	    news->ip.daddr != underlay_address)
		return;
	if (news->icmp.type != ICMP_UNREACHABLE || news->icmp.code != ICMP_FRAGMENTATION_NEEDED ||
	    news->quoted.protocol != IPPROTO_GRE || news->quoted.ihl != 5 || news->quoted.saddr != underlay_address ||
	    news->gre.flags != GRE_KEY_ONLY)
		return;
	tenant = tenant_by_key(bpf_ntohl(news->gre.key));
	if (!tenant || !is_peer(tenant->id, news->quoted.daddr) || path_news_tick == now)
		return;
	path_news_tick = now;
	path_news++;
}

#endif
