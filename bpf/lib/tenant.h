/* SPDX-License-Identifier: GPL-2.0 */
/* The VRF table map and what it admits. */
#ifndef XGW_TENANT_H
#define XGW_TENANT_H

#include "../maps.h"
#include "config.h"

static __always_inline struct xgw_tenant *tenant_by_key(__u32 gre_key)
{
	return bpf_map_lookup_elem(&tenants, &gre_key);
}

/* Whose device it is; NULL for nobody's. */
static __always_inline __u32 *tenant_of_device(__u32 ifindex)
{
	return bpf_map_lookup_elem(&tunnels, &ifindex);
}

static __always_inline int is_peer(__u32 tenant, __be32 outer_source)
{
	struct xgw_peer_key key = {.tenant = tenant, .address = outer_source};

	return bpf_map_lookup_elem(&peers, &key) != NULL;
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
