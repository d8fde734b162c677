/* SPDX-License-Identifier: GPL-2.0 */
/* ARP (RFC 826) for IPv4 over Ethernet, and where it is in a frame. */
#ifndef XGW_ARP_H
#define XGW_ARP_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "vlan.h"

#define ARP_REQUEST bpf_htons(1)

struct arp_packet {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_length;
	__u8 protocol_length;
	__be16 operation;
	__u8 sender_mac[ETH_ALEN];
	__be32 sender;
	__u8 target_mac[ETH_ALEN];
	__be32 target;
} __attribute__((packed));
_Static_assert(sizeof(struct arp_packet) == 28, "arp_packet");

static __always_inline int is_vlan_type(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
}

#define VLAN_ID_MASK 0xfff

/*
 * Is a frame that comes in one of a VLAN, by the tag that the kernel has taken off or, where that says a priority only,
 * by the next one? Then it goes to the VLAN's device or to nobody, and not to this one.
 */
static __always_inline int is_of_vlan(struct __sk_buff *skb)
{
	__be16 tag = 0;

	if (!skb->vlan_present)
		return 0;
	if (skb->vlan_tci & VLAN_ID_MASK)
		return 1;
	return is_vlan_type(skb->protocol) && !bpf_skb_load_bytes(skb, ETH_HLEN, &tag, sizeof(tag)) &&
	       bpf_ntohs(tag) & VLAN_ID_MASK;
}

/* Nobody looks behind that many tags: what is there may be ARP. */
#define ARP_HIDDEN 1

/*
 * Where ARP begins in a frame that comes in, and 0 where it is something else. The kernel takes one tag off before tc
 * sees the frame. Behind tc it takes off all others that have no VLAN's id, however many there are (check_vlan_id of
 * __netif_receive_skb_core).
 */
static __always_inline __u32 arp_offset(struct __sk_buff *skb)
{
	__be16 protocol = skb->protocol;

	if (protocol == bpf_htons(ETH_P_ARP))
		return ETH_HLEN;
	if (!is_vlan_type(protocol) || bpf_skb_load_bytes(skb, ETH_HLEN + 2, &protocol, sizeof(protocol)))
		return 0;
	if (is_vlan_type(protocol))
		return ARP_HIDDEN;
	return protocol == bpf_htons(ETH_P_ARP) ? ETH_HLEN + TAG_BYTES : 0;
}

#endif
