/* SPDX-License-Identifier: GPL-2.0 */
/* ARP that comes out of a tunnel. The kernel makes a neighbour of everybody who asks for an address of its own
 * (arp_process), whatever the sender's address. */
#ifndef XGW_ARP_IN_H
#define XGW_ARP_IN_H

#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include "neighbour.h"
#include "verdict.h"

/* Of IPv4 over Ethernet, where the sender's address is. */
#define ARP_SENDER_OFFSET (ETH_HLEN + 8 /* fixed part */ + ETH_ALEN)

static __always_inline int may_ask(struct __sk_buff *skb)
{
	struct xgw_neighbour_key key = {.ifindex = skb->ifindex};
	struct xgw_flow_key sender = {};
	__u32 *tenant = bpf_map_lookup_elem(&tunnels, &key.ifindex);

	if (!tenant || bpf_skb_load_bytes(skb, ARP_SENDER_OFFSET, &key.address, sizeof(key.address)) ||
	    may_have_neighbour(*tenant, &key))
		return 1;
	sender.saddr = key.address;
	drop(*tenant, XGW_REASON_NEIGHBOURS, skb->len, &sender, 0);
	return 0;
}

#endif
