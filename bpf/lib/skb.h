/* SPDX-License-Identifier: GPL-2.0 */
/* What netfilter's programs read of a packet; the loader finds the offsets in the running kernel's BTF. */
#ifndef XGW_SKB_H
#define XGW_SKB_H

#include <linux/bpf.h>
#include <linux/ip.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "../shared.h"
#include "ct.h"

/* Of netfilter's hooks. */
#define NF_DROP 0
#define NF_ACCEPT 1

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sk_buff {
	unsigned int len;
	unsigned int tail; /* offset from head, where pointers have 64 bits */
	char cb[48];
	int skb_iif;
	unsigned long _nfct;
	unsigned long _skb_refdst;
	__u16 network_header;
	unsigned char *head;
};

struct net_device {
	int ifindex;
	int group;
	possible_net_t nd_net;
};

struct nf_hook_state {
	struct net_device *in;
	struct net_device *out;
	struct net *net;
};

/* What waits for the rest of its datagram. */
struct fqdir {
	int timeout; /* jiffies */
	struct {
		long counter;
	} mem; /* bytes */
};

/* What is in an IPv4 packet's cb. */
struct inet_skb_parm {
	__u16 frag_max_size; /* of one that was put together: bytes of its largest fragment */
};

struct rtable {
	__u8 rt_gw_family;
	__be32 rt_gw4;
};

#pragma clang attribute pop

/* The context of BPF_PROG_TYPE_NETFILTER. */
struct bpf_nf_ctx {
	const struct nf_hook_state *state;
	struct sk_buff *skb;
};

/* Bits of a pointer that say something else: SKB_NFCT_PTRMASK (enum ip_conntrack_info), SKB_DST_NOREF. */
#define NFCT_BITS 7ul
#define REFDST_BITS 1ul

/* NULL: the packet is not tracked. */
static __always_inline struct nf_conn *conntrack_of(const struct sk_buff *skb)
{
	return (struct nf_conn *)(skb->_nfct & ~NFCT_BITS);
}

/* Of an IPv4 packet. */
static __always_inline void read_ip_header(const struct sk_buff *skb, struct iphdr *ip)
{
	bpf_probe_read_kernel(ip, sizeof(*ip), skb->head + skb->network_header);
}

/* Of an IPv4 packet that is routed, as the kernel has it (rt_nexthop). */
static __always_inline __be32 next_hop_of(const struct sk_buff *skb)
{
	struct rtable *route = (struct rtable *)(skb->_skb_refdst & ~REFDST_BITS);
	struct iphdr *ip = (struct iphdr *)(skb->head + skb->network_header);
	__be32 address = 0;

	if (BPF_CORE_READ(route, rt_gw_family) == 2 /* AF_INET */)
		return BPF_CORE_READ(route, rt_gw4);
	bpf_probe_read_kernel(&address, sizeof(address), (void *)ip + __builtin_offsetof(struct iphdr, daddr));
	return address;
}

/* Bytes; 0: the packet has come in one piece. */
static __always_inline __u16 largest_fragment_of(const struct sk_buff *skb)
{
	__u16 bytes = 0;

	bpf_probe_read_kernel(&bytes, sizeof(bytes),
			      skb->cb + bpf_core_field_offset(struct inet_skb_parm, frag_max_size));
	return bytes;
}

#endif
