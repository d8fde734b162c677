/* SPDX-License-Identifier: GPL-2.0 */
/* The flow table as a stock HASH map: included first, it stands in for lib/flow_table.h. */
#ifndef XGW_FLOW_TABLE_H
#define XGW_FLOW_TABLE_H

#include "../../bpf/maps.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set at load */
	__type(key, struct xgw_flow_key);
	__type(value, struct xgw_flow);
} stock_flows SEC(".maps");

static __always_inline struct xgw_flow *flow_lookup(const struct xgw_flow_key *key)
{
	return bpf_map_lookup_elem(&stock_flows, key);
}

static __always_inline int flow_insert(const struct xgw_flow_key *key, const struct xgw_flow *flow)
{
	return bpf_map_update_elem(&stock_flows, key, flow, BPF_ANY);
}

static __always_inline int flow_delete(const struct xgw_flow_key *key)
{
	return bpf_map_delete_elem(&stock_flows, key);
}

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
