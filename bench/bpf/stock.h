/* SPDX-License-Identifier: GPL-2.0 */
/* The flow table as a stock HASH map: included first, it stands in for lib/flow_table.h and lib/flow_insert.h. */
#ifndef XGW_FLOW_TABLE_H
#define XGW_FLOW_TABLE_H
#define XGW_FLOW_INSERT_H

#include "../../bpf/maps.h"
#include "../../bpf/lib/config.h"
#include "../../bpf/lib/flow_count.h"
#include "../../bpf/lib/flow_doubt.h"
#include "../../bpf/lib/flow_key.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set at load */
	__type(key, struct xgw_flow_key);
	__type(value, struct xgw_flow);
} stock_flows SEC(".maps");

static __always_inline struct xgw_flow *flow_lookup(const struct xgw_flow_key *key, struct xgw_flow *copy)
{
	struct xgw_flow *flow = bpf_map_lookup_elem(&stock_flows, key);

	if (flow)
		*copy = *flow;
	return flow;
}

static __always_inline int flow_is_due(struct xgw_flow *flow, const struct xgw_flow *copy)
{
	return (__u32)bpf_jiffies64() - copy->checked >= liveness_jiffies && flow;
}

static __always_inline void flow_remember_peer(const struct xgw_flow_key *key, __be32 peer)
{
	struct xgw_flow *flow = bpf_map_lookup_elem(&stock_flows, key);

	if (flow)
		flow->peer = peer;
}

static __always_inline int flow_insert(const struct xgw_flow_key *key, const struct xgw_flow *flow)
{
	return bpf_map_update_elem(&stock_flows, key, flow, BPF_ANY);
}

static __always_inline int flow_delete(const struct xgw_flow_key *key)
{
	return bpf_map_delete_elem(&stock_flows, key);
}

#endif
