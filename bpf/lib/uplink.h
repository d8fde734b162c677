/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The plain uplink. The kernel chooses the tenant by the device that a packet comes in by, and on the uplink all
 * tenants' packets come in by one. So a packet for a public address is handed to the tunnel device of the tenant that
 * has it, as if it had come out of that tunnel, and is from there on like any other: zone, NAT, policy and routes are
 * the tenant's.
 *
 * That it has come by the uplink, its tc_index tells the learner (entrance.h). The nft rules cannot see that, and must
 * know it as well, for a source that is right on the uplink is forged in the tunnel. A bit of the mark tells them, and
 * they take it off before routing rules or operators look at it.
 */
#ifndef XGW_UPLINK_H
#define XGW_UPLINK_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include "arp.h"
#include "drop_tc.h"
#include "entrance.h"
#include "tenant.h"

/* Every tunnel device has its MAC address from its key: 02:67 and the key (src/kernel/slow-path.ts). */
static __always_inline void tunnel_mac(__u32 gre_key, __be16 *mac)
{
	mac[0] = bpf_htons(0x0267);
	mac[1] = bpf_htons(gre_key >> 16);
	mac[2] = bpf_htons(gre_key & 0xffff);
}

/* What RFC 1918 and RFC 6598 leave to everybody. */
static __always_inline int is_private(__be32 address)
{
	__u32 host = bpf_ntohl(address);

	return host >> 24 == 10 || host >> 22 == (100 << 2 | 1) || host >> 20 == (172 << 4 | 1) ||
	       host >> 16 == (192 << 8 | 168);
}

/*
 * Nobody outside has a private address that the tenant's routes lead into its tunnel. The nft rules say so as well, but
 * the flowtable stands before them, and knows its connections by the tunnel and the tuple alone. So what it may carry
 * is judged here.
 */
static __always_inline int is_spoofed(__u32 tenant, const struct iphdr *ip)
{
	return (ip->protocol == IPPROTO_TCP || ip->protocol == IPPROTO_UDP) && is_private(ip->saddr) &&
	       endpoint_of(tenant, ip->saddr);
}

/*
 * What tc is to do with a packet that came in by the uplink: `next` with one that is not for a public address, `shot`
 * with one that is to be dropped.
 */
static __always_inline int from_uplink(struct __sk_buff *skb, int next, int shot)
{
	struct xgw_public_ip *public;
	__be16 mac[ETH_ALEN / 2];
	struct iphdr ip;

	if (skb->protocol != bpf_htons(ETH_P_IP) || skb->pkt_type != PACKET_HOST)
		return next;
	if (is_of_vlan(skb))
		return next;
	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
		return next;
	public = public_ip(ip.daddr);
	if (!public || !public->tunnel_ifindex)
		return next;
	if (is_spoofed(public->tenant, &ip)) {
		struct xgw_flow_key key = {.saddr = ip.saddr, .daddr = ip.daddr, .protocol = ip.protocol};

		drop(skb, &key, public->tenant, XGW_REASON_SPOOFED, skb->len - ETH_HLEN);
		return shot;
	}
	/* A gretap takes what is for its MAC address; for a gre the redirect takes the Ethernet header off. */
	tunnel_mac(public->key, mac);
	if (bpf_skb_store_bytes(skb, 0, mac, ETH_ALEN, 0))
		return next;
	skb->tc_index = FROM_UPLINK | entered_now(public->tenant);
	skb->mark |= XGW_MARK_UPLINK;
	return bpf_redirect(public->tunnel_ifindex, BPF_F_INGRESS);
}

#endif
