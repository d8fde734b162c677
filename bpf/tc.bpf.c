// SPDX-License-Identifier: GPL-2.0
/*
 * tc programs: the learner on a NIC's egress, ARP on a tunnel's, and the ways in from a tunnel and from a plain uplink.
 * None drops but those for ARP that comes in, and the last one what is spoofed.
 */
#include "lib/arp_in.h"
#include "lib/endpoint.h"
#include "lib/entrance.h"
#include "lib/learn.h"
#include "lib/nic_arp.h"
#include "lib/uplink.h"

/* TCX_NEXT (Linux 6.6): the next program, or the packet goes on. Debian 12's headers do not know it. */
#define XGW_NEXT (-1)
#define XGW_SHOT 2 /* TCX_DROP */

SEC("tcx/egress")
int xgw_learn(struct __sk_buff *skb)
{
	learn(skb);
	return XGW_NEXT;
}

SEC("tcx/egress")
int xgw_arp(struct __sk_buff *skb)
{
	__u32 tenant;

	if (skb->protocol != bpf_htons(ETH_P_ARP))
		return XGW_NEXT;
	tenant = tenant_of_device(skb->ifindex);
	if (tenant)
		direct_arp(skb, tenant);
	return XGW_NEXT;
}

SEC("tcx/ingress")
int xgw_enter(struct __sk_buff *skb)
{
	enter(skb);
	return may_ask(skb) ? XGW_NEXT : XGW_SHOT;
}

SEC("tcx/ingress")
int xgw_nic_arp(struct __sk_buff *skb)
{
	return may_ask_nic(skb) ? XGW_NEXT : XGW_SHOT;
}

SEC("tcx/ingress")
int xgw_uplink(struct __sk_buff *skb)
{
	return from_uplink(skb, XGW_NEXT, XGW_SHOT);
}

char _license[] SEC("license") = "GPL";
