/* SPDX-License-Identifier: GPL-2.0 */
/* The end of flows, and doubt whether it has come: always of both directions. */
#ifndef XGW_CLOSE_H
#define XGW_CLOSE_H

#include "events.h"
#include "flow_table.h"
#include "tenant.h"

static __always_inline void end_flow(const struct xgw_flow_key *key, __u32 tenant, enum xgw_reason reason)
{
	if (!flow_delete(key))
		emit(XGW_EVENT_FLOW_DIED, reason, key, tenant, 0);
}

static __always_inline void close_flows(const struct xgw_flow_key *key, const struct xgw_flow *flow,
					const struct xgw_encap *encap, enum xgw_reason reason)
{
	struct xgw_flow_key reverse;
	__u32 tenant = flow->tenant;

	flow_reverse_key(key, flow, encap, &reverse);
	end_flow(key, tenant, reason);
	end_flow(&reverse, tenant, reason);
}

/*
 * A packet that opens or closes goes up, and conntrack believes it or not: a FIN of any number it does, for it is told
 * to be liberal (nf_conntrack_tcp_be_liberal), as it does not see what XDP carries. The flows of both directions ask
 * with their next packets: it ends nothing by itself, whoever has sent it.
 */
static __noinline __attribute__((unused)) void doubt_flows(const struct xgw_flow_key *key, struct xgw_flow *place,
							   const struct xgw_flow *flow, const struct xgw_encap *encap)
{
	struct xgw_flow_key reverse;
	struct xgw_flow other;

	flow_doubt(place);
	flow_reverse_key(key, flow, encap, &reverse);
	place = flow_lookup(&reverse, &other);
	if (place)
		flow_doubt(place);
}

#endif
