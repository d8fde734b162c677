/* SPDX-License-Identifier: GPL-2.0 */
/* ARP that comes out of a tunnel. The kernel makes a neighbour of everybody who asks for an address of its own
 * (arp_process), whatever the sender's address. */
#ifndef XGW_ARP_IN_H
#define XGW_ARP_IN_H

#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include "neighbour.h"
#include "verdict.h"
#include "vlan.h"

/* Of IPv4 over Ethernet, where the sender's address is. */
#define ARP_SENDER_OFFSET (8 /* fixed part */ + ETH_ALEN)

static __always_inline int is_tag(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
}

/*
 * Where ARP begins in the frame, and 0 where it is something else. The kernel takes a tag off before tc sees the frame;
 * others, as long as none has a VLAN's id, behind tc, however many there are. Behind a third nobody looks: such a frame
 * is refused.
 */
#define ARP_HIDDEN 1
static __always_inline __u32 arp_offset(struct __sk_buff *skb)
{
	__be16 protocol = skb->protocol;

	if (protocol == bpf_htons(ETH_P_ARP))
		return ETH_HLEN;
	if (!is_tag(protocol) || bpf_skb_load_bytes(skb, ETH_HLEN + 2, &protocol, sizeof(protocol)))
		return 0;
	if (is_tag(protocol))
		return ARP_HIDDEN;
	return protocol == bpf_htons(ETH_P_ARP) ? ETH_HLEN + TAG_BYTES : 0;
}

static __always_inline int may_ask(struct __sk_buff *skb)
{
	struct xgw_neighbour_key key = {.ifindex = skb->ifindex};
	__u32 offset = arp_offset(skb), *tenant;
	struct xgw_flow_key sender = {};

	if (!offset)
		return 1;
	tenant = bpf_map_lookup_elem(&tunnels, &key.ifindex);
	if (!tenant)
		return 1;
	if (offset != ARP_HIDDEN) {
		if (bpf_skb_load_bytes(skb, offset + ARP_SENDER_OFFSET, &key.address, sizeof(key.address)) ||
		    may_have_neighbour(*tenant, &key))
			return 1;
		sender.saddr = key.address;
	}
	drop(*tenant, XGW_REASON_NEIGHBOURS, skb->len, &sender, 0);
	return 0;
}

#endif
