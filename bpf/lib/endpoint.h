/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ARP on a tunnel without a fixed remote. IP packets leave by a route that names the tunnel endpoint; ARP has
 * no route, and the kernel would drop its replies and its timed probes. So every ARP packet is told the
 * endpoint that the tenant's routes give for the address it is meant for.
 */
#ifndef XGW_ENDPOINT_H
#define XGW_ENDPOINT_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include "arp.h"
#include "tenant.h"

static __always_inline void direct_arp(struct __sk_buff *skb, __u32 tenant)
{
	struct bpf_tunnel_key tunnel = {};
	struct arp_packet arp;
	const __be32 *endpoint;

	if (skb->protocol != bpf_htons(ETH_P_ARP) || bpf_skb_load_bytes(skb, ETH_HLEN, &arp, sizeof(arp)))
		return;
	endpoint = endpoint_of(tenant, arp.target);
	if (!endpoint)
		return;
	tunnel.remote_ipv4 = bpf_ntohl(*endpoint);
	bpf_skb_set_tunnel_key(skb, &tunnel, sizeof(tunnel), 0);
}

#endif
