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
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include "entrance.h"
#include "tenant.h"

#define VLAN_ID_MASK 0xfff

/* Every tunnel device has its MAC address from its key: 02:67 and the key (src/kernel/slow-path.ts). */
static __always_inline void tunnel_mac(__u32 gre_key, __be16 *mac)
{
	mac[0] = bpf_htons(0x0267);
	mac[1] = bpf_htons(gre_key >> 16);
	mac[2] = bpf_htons(gre_key & 0xffff);
}

/* What tc is to do with a packet that came in by the uplink; `next` for one that is not for a public address. */
static __always_inline int from_uplink(struct __sk_buff *skb, int next)
{
	struct xgw_public_ip *public;
	__be16 mac[ETH_ALEN / 2];
	__be32 daddr;

	if (skb->protocol != bpf_htons(ETH_P_IP) || skb->pkt_type != PACKET_HOST)
		return next;
	/* Of a VLAN that the machine has no device for; its id 0 is none, and says a priority only. */
	if (skb->vlan_present && skb->vlan_tci & VLAN_ID_MASK)
		return next;
	if (bpf_skb_load_bytes(skb, ETH_HLEN + __builtin_offsetof(struct iphdr, daddr), &daddr, sizeof(daddr)))
		return next;
	public = public_ip(daddr);
	if (!public || !public->tunnel_ifindex)
		return next;
	/* A gretap takes what is for its MAC address; for a gre the redirect takes the Ethernet header off. */
	tunnel_mac(public->key, mac);
	if (bpf_skb_store_bytes(skb, 0, mac, ETH_ALEN, 0))
		return next;
	skb->tc_index = FROM_UPLINK | entered_now(public->tenant);
	skb->mark |= XGW_MARK_UPLINK;
	return bpf_redirect(public->tunnel_ifindex, BPF_F_INGRESS);
}

#endif
