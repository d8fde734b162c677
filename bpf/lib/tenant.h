/* SPDX-License-Identifier: GPL-2.0 */
/* The VRF table map and what it admits. */
#ifndef XGW_TENANT_H
#define XGW_TENANT_H

#include <bpf/bpf_endian.h>
#include "../maps.h"
#include "config.h"

static __always_inline struct xgw_tenant *tenant_by_key(__u32 gre_key)
{
	return bpf_map_lookup_elem(&tenants, &gre_key);
}

/* Whose device it is, a tunnel or a VRF; 0 for nobody's. */
static __always_inline __u32 tenant_of_device(__u32 ifindex)
{
	__u32 *tenant = bpf_map_lookup_elem(&tunnels, &ifindex);

	return tenant ? *tenant & ~XGW_DEVICE_VRF : 0;
}

static __always_inline int is_peer(__u32 tenant, __be32 outer_source)
{
	struct xgw_peer_key key = {.tenant = tenant, .address = outer_source};

	return bpf_map_lookup_elem(&peers, &key) != NULL;
}

/* By the tenant's routes, the tunnel endpoint of an inner address; NULL: there is none. */
static __always_inline const __be32 *endpoint_of(__u32 tenant, __be32 address)
{
	struct xgw_endpoint_key key = {.prefixlen = 64, .tenant = bpf_htonl(tenant), .address = address};

	return bpf_map_lookup_elem(&endpoints, &key);
}

/*
 * Sets the outer source that packets from an inner address come with, as the config has it: nothing stands for "not
 * yet". What comes by another of the tenant's peers is looked up with its first packet. Negative: the config does not
 * say it.
 */
static __always_inline int expected_peer(__u32 tenant, __u8 wrap, __be32 source, __be32 *peer)
{
	const __be32 *endpoint;

	*peer = 0; /* of what comes in plain IP, and has no outer source */
	if (wrap == XGW_WRAP_PLAIN)
		return 0;
	endpoint = endpoint_of(tenant, source);
	if (!endpoint)
		return -1;
	*peer = *endpoint;
	return 0;
}

static __always_inline struct xgw_public_ip *public_ip(__be32 address)
{
	return bpf_map_lookup_elem(&public_ips, &address);
}

/* Conntrack's zone for what arrives under this key; negative: its tenant has gone, or the public address is nobody's.
 */
static __always_inline int zone_of(const struct xgw_flow_key *key)
{
	__u32 gre_key = key->realm;
	struct xgw_tenant *tenant;

	if (uplink_ifindex && key->wrap == XGW_WRAP_PLAIN) {
		struct xgw_public_ip *public = public_ip(key->daddr);

		if (!public)
			return -1;
		gre_key = public->key;
	}
	tenant = tenant_by_key(gre_key);
	return tenant ? (int)tenant->zone : -1;
}

/* The generation that a flow learned now belongs to; a flow of any other generation is not followed. */
static __always_inline __u32 generation_of(__u32 tenant)
{
	__u32 *generation = bpf_map_lookup_elem(&generations, &tenant);

	return generation ? *(volatile __u32 *)generation : 0;
}

#endif
