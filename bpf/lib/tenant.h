/* SPDX-License-Identifier: GPL-2.0 */
/* The VRF table map and what it admits. */
#ifndef XGW_TENANT_H
#define XGW_TENANT_H

#include "../maps.h"

static __always_inline struct xgw_tenant *tenant_by_key(__u32 gre_key)
{
	return bpf_map_lookup_elem(&tenants, &gre_key);
}

static __always_inline int is_peer(__u32 tenant, __be32 outer_source)
{
	struct xgw_peer_key key = {.tenant = tenant, .address = outer_source};

	return bpf_map_lookup_elem(&peers, &key) != NULL;
}

/* Conntrack's zone for what arrives under this key; negative: its tenant has gone. */
static __always_inline int zone_of(const struct xgw_flow_key *key)
{
	struct xgw_tenant *tenant;

	if (key->wrap == XGW_WRAP_PLAIN)
		return key->realm;
	tenant = tenant_by_key(key->realm);
	return tenant ? (int)tenant->zone : -1;
}

/* The generation that a flow learned now belongs to; a flow of any other generation is not followed. */
static __always_inline __u32 generation_of(__u32 tenant)
{
	__u32 *generation = bpf_map_lookup_elem(&generations, &tenant);

	return generation ? *(volatile __u32 *)generation : 0;
}

#endif
