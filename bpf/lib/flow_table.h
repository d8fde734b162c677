/* SPDX-License-Identifier: GPL-2.0 */
/* All access to the flow map, so that the table behind it can change. */
#ifndef XGW_FLOW_TABLE_H
#define XGW_FLOW_TABLE_H

#include "../maps.h"

static __always_inline struct xgw_flow *flow_lookup(const struct xgw_flow_key *key)
{
	return bpf_map_lookup_elem(&flows, key);
}

/* Adds or replaces; 0, or a negative errno when the table takes no more. */
static __always_inline int flow_insert(const struct xgw_flow_key *key, const struct xgw_flow *flow)
{
	return bpf_map_update_elem(&flows, key, flow, BPF_ANY);
}

/* 0, or -ENOENT. */
static __always_inline int flow_delete(const struct xgw_flow_key *key)
{
	return bpf_map_delete_elem(&flows, key);
}

/* The key under which the other direction arrives: what this one sends, turned round, where this one sends it. */
static __always_inline void flow_reverse_key(const struct xgw_flow_key *key, const struct xgw_flow *flow,
					     const struct xgw_encap *encap, struct xgw_flow_key *reverse)
{
	reverse->realm = encap->realm;
	reverse->saddr = flow->daddr;
	reverse->daddr = flow->saddr;
	reverse->sport = flow->dport;
	reverse->dport = flow->sport;
	reverse->protocol = key->protocol;
	reverse->wrap = encap->wrap;
	reverse->pad = 0;
}

#endif
