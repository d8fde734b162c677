/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ARP requests by the sides' NICs. The kernel makes a neighbour of everybody who asks for an address of the gateway's
 * (arp_process), whatever the sender's address: one host under many of them would take what is kept for the machine
 * itself, and then what the tenants are promised. So senders that the kernel does not know are answered only so many a
 * second, for each NIC. Those that it knows go on, and so do the answers to what the gateway itself asks.
 */
#ifndef XGW_NIC_ARP_H
#define XGW_NIC_ARP_H

#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include "bucket.h"
#include "verdict.h"

/*
 * A neighbour that nobody uses goes after 75 s at most (gc_stale_time, and a period of the kernel's collector), so that
 * a NIC has some 1700 of them: two NICs have fewer than the reserve for what is no tenant's
 * (src/model/kernel-tables.ts).
 */
#define XGW_NEWCOMERS_PER_SECOND 16
#define XGW_NEWCOMERS_SECONDS 32 /* so many seconds' worth at once */

#define XGW_AF_INET 2

/* Of IPv4 over Ethernet. */
struct xgw_arp {
	__be16 hardware;
	__be16 protocol;
	__u8 lengths[2];
	__be16 operation;
	__u8 sender_mac[ETH_ALEN];
	__u8 sender[4];
	__u8 target_mac[ETH_ALEN];
	__u8 target[4];
};
_Static_assert(sizeof(struct xgw_arp) == 28, "xgw_arp");

/* Where the kernel would send a packet by which came in by the NIC. */
static __always_inline long look_up(struct __sk_buff *skb, struct bpf_fib_lookup *fib, const __u8 *source,
				    const __u8 *destination)
{
	fib->family = XGW_AF_INET;
	fib->ifindex = skb->ifindex;
	__builtin_memcpy(&fib->ipv4_src, source, 4);
	__builtin_memcpy(&fib->ipv4_dst, destination, 4);
	return bpf_fib_lookup(skb, fib, sizeof(*fib), 0);
}

/* Is the address certainly somebody else's? Then the kernel answers nobody who asks for it. */
static __always_inline int is_elsewhere(struct __sk_buff *skb, const struct xgw_arp *arp)
{
	struct bpf_fib_lookup fib = {};
	long result = look_up(skb, &fib, arp->sender, arp->target);

	return result == BPF_FIB_LKUP_RET_SUCCESS || result == BPF_FIB_LKUP_RET_NO_NEIGH ||
	       result == BPF_FIB_LKUP_RET_FRAG_NEEDED || result == BPF_FIB_LKUP_RET_UNREACHABLE;
}

/* Does the kernel have the sender among the NIC's neighbours? Of one whose route leads elsewhere it does not tell. */
static __always_inline int is_neighbour(struct __sk_buff *skb, const struct xgw_arp *arp)
{
	struct bpf_fib_lookup fib = {};

	return look_up(skb, &fib, arp->target, arp->sender) == BPF_FIB_LKUP_RET_SUCCESS &&
	       fib.ifindex == skb->ifindex && !__builtin_memcmp(&fib.ipv4_dst, arp->sender, 4);
}

static __always_inline int may_ask_nic(struct __sk_buff *skb)
{
	__u32 slot = skb->ifindex % XGW_NIC_SLOTS;
	struct xgw_flow_key sender = {};
	struct xgw_arp arp;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &arp, sizeof(arp)) || arp.operation != bpf_htons(1 /* request */))
		return 1;
	__builtin_memcpy(&sender.saddr, arp.sender, 4);
	if (!sender.saddr || is_elsewhere(skb, &arp) || is_neighbour(skb, &arp) ||
	    ask_bucket(bpf_map_lookup_elem(&nic_buckets, &slot), XGW_NEWCOMERS_PER_SECOND, XGW_NEWCOMERS_SECONDS, 1))
		return 1;
	drop(0, XGW_REASON_NEIGHBOURS, skb->len, &sender, 0);
	return 0;
}

#endif
