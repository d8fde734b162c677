/* SPDX-License-Identifier: GPL-2.0 */
/* The end of flows: always both directions, and the connection's record says how it closes. */
#ifndef XGW_CLOSE_H
#define XGW_CLOSE_H

#include "events.h"
#include "flow_table.h"
#include "sound.h"
#include "tenant.h"

static __always_inline void close_flows(const struct xgw_flow_key *key, const struct xgw_flow *flow,
					const struct xgw_encap *encap, enum xgw_reason reason)
{
	struct xgw_flow_key reverse;
	__u32 tenant = flow->tenant;

	flow_reverse_key(key, flow, encap, &reverse);
	if (!flow_delete(key))
		emit(XGW_EVENT_FLOW_DIED, reason, key, tenant, 0);
	if (!flow_delete(&reverse))
		emit(XGW_EVENT_FLOW_DIED, reason, &reverse, tenant, 0);
}

/* The original tuple is this flow's own when it is the original direction, else what it sends, turned round.
 */
static __always_inline void connection_key_of(const struct xgw_flow_key *key, const struct xgw_flow *flow,
					      struct xgw_connection_key *connection)
{
	__builtin_memset(connection, 0, sizeof(*connection));
	connection->zone = zone_of(key);
	connection->original.protocol = key->protocol;
	if (flow->key.flags & XGW_FLOW_REPLY) {
		connection->original.saddr = flow->daddr;
		connection->original.daddr = flow->saddr;
		connection->original.sport = flow->dport;
		connection->original.dport = flow->sport;
	} else {
		connection->original.saddr = key->saddr;
		connection->original.daddr = key->daddr;
		connection->original.sport = key->sport;
		connection->original.dport = key->dport;
	}
}

static __always_inline void close_connection(const struct xgw_flow_key *key, const struct xgw_flow *flow,
					     const struct xgw_encap *encap, __u8 tcp_flags)
{
	struct xgw_connection_key connection_key;
	struct xgw_connection *connection;

	connection_key_of(key, flow, &connection_key);
	connection = bpf_map_lookup_elem(&conntrack, &connection_key);
	if (connection) {
		__u32 closing = 0;

		if (tcp_flags & XGW_TCP_FIN)
			closing |= flow->key.flags & XGW_FLOW_REPLY ? XGW_CLOSING_REPLY : XGW_CLOSING_ORIGINAL;
		if (tcp_flags & XGW_TCP_RST)
			closing |= XGW_CLOSING_RESET;
		__sync_fetch_and_or(&connection->closing, closing);
	}
	close_flows(key, flow, encap, XGW_REASON_TCP_CONTROL);
}

#endif
