/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ARP requests by the sides' NICs. The kernel makes a neighbour of everybody who asks for an address of the gateway's
 * (arp_process), whatever the sender's address: one host under many of them would take what is kept for the machine
 * itself, and then what the tenants are promised. So senders that the kernel does not know are answered only so many a
 * second, for each NIC. Those that it knows go on, and so do the answers to what the gateway itself asks.
 */
#ifndef XGW_NIC_ARP_H
#define XGW_NIC_ARP_H

#include "arp.h"
#include "bucket.h"
#include "drop_tc.h"
#include "fib.h"

/*
 * A neighbour that nobody uses goes after 75 s at most (gc_stale_time, and a period of the kernel's collector), so that
 * a NIC has some 1700 of them. Two NICs, and whom the machine sends to by itself (strangeHosts of src/plan/rules.ts),
 * have fewer than the reserve for what is no tenant's (src/model/kernel-tables.ts).
 */
#define XGW_NEWCOMERS_PER_SECOND 16
#define XGW_NEWCOMERS_SECONDS 32 /* so many seconds' worth at once */

/* Where the kernel would send a packet by which came in by the NIC. */
static __always_inline long look_up(struct __sk_buff *skb, struct bpf_fib_lookup *fib, __be32 source,
				    __be32 destination)
{
	fib->family = XGW_AF_INET;
	fib->ifindex = skb->ifindex;
	fib->ipv4_src = source;
	fib->ipv4_dst = destination;
	return bpf_fib_lookup(skb, fib, sizeof(*fib), 0);
}

/* Is the address certainly somebody else's? Then the kernel answers nobody who asks for it. */
static __always_inline int is_elsewhere(struct __sk_buff *skb, const struct arp_packet *arp)
{
	struct bpf_fib_lookup fib = {};
	long result = look_up(skb, &fib, arp->sender, arp->target);

	return result == BPF_FIB_LKUP_RET_SUCCESS || result == BPF_FIB_LKUP_RET_NO_NEIGH ||
	       result == BPF_FIB_LKUP_RET_FRAG_NEEDED || result == BPF_FIB_LKUP_RET_UNREACHABLE;
}

/* Does the kernel have the sender among the NIC's neighbours? Of one whose route leads elsewhere it does not tell. */
static __always_inline int is_neighbour(struct __sk_buff *skb, const struct arp_packet *arp)
{
	struct bpf_fib_lookup fib = {};

	return look_up(skb, &fib, arp->target, arp->sender) == BPF_FIB_LKUP_RET_SUCCESS &&
	       fib.ifindex == skb->ifindex && fib.ipv4_dst == arp->sender;
}

static __always_inline int may_ask_nic(struct __sk_buff *skb)
{
	__u32 slot = skb->ifindex % XGW_NIC_SLOTS, offset = arp_offset(skb);
	struct xgw_flow_key sender = {};
	struct arp_packet arp;

	if (!offset || is_of_vlan(skb))
		return 1;
	if (offset != ARP_HIDDEN) {
		if (bpf_skb_load_bytes(skb, offset, &arp, sizeof(arp)) || arp.operation != ARP_REQUEST || !arp.sender ||
		    is_elsewhere(skb, &arp) || is_neighbour(skb, &arp))
			return 1;
		sender.saddr = arp.sender;
	}
	if (ask_bucket(bpf_map_lookup_elem(&nic_buckets, &slot), XGW_NEWCOMERS_PER_SECOND, XGW_NEWCOMERS_SECONDS, 1))
		return 1;
	drop(skb, &sender, 0, XGW_REASON_NEIGHBOURS, skb->len);
	return 0;
}

#endif
