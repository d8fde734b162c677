/* SPDX-License-Identifier: GPL-2.0 */
/* ARP that comes out of a tunnel. The kernel makes a neighbour of everybody who asks for an address of its own
 * (arp_process), whatever the sender's address. */
#ifndef XGW_ARP_IN_H
#define XGW_ARP_IN_H

#include "arp.h"
#include "drop_tc.h"
#include "neighbour.h"

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
		if (bpf_skb_load_bytes(skb, offset + __builtin_offsetof(struct arp_packet, sender), &key.address,
				       sizeof(key.address)) ||
		    may_have_neighbour(*tenant, &key))
			return 1;
		sender.saddr = key.address;
	}
	drop(skb, &sender, *tenant, XGW_REASON_NEIGHBOURS, skb->len);
	return 0;
}

#endif
