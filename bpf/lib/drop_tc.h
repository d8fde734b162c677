/* SPDX-License-Identifier: GPL-2.0 */
/* What tc programs have the kernel drop: counted, and told to those who listen. */
#ifndef XGW_DROP_TC_H
#define XGW_DROP_TC_H

#include "verdict.h"

/* Not static, so that the verifier looks at it once. */
__noinline __attribute__((unused)) int publish_packet(struct __sk_buff *skb, struct xgw_event *event)
{
	if (event)
		publish(event, TC_PACKET, skb);
	return 0;
}

/* `bytes`: that are counted. */
static __always_inline void drop(struct __sk_buff *skb, const struct xgw_flow_key *key, __u32 tenant,
				 enum xgw_reason reason, __u32 bytes)
{
	struct xgw_event event = {
	    .key = *key,
	    .tenant = tenant,
	    .kind = XGW_EVENT_DROP,
	    .reason = reason,
	    .ifindex = skb->ifindex,
	    .length = skb->len,
	    .captured = captured_of(skb->len),
	    .link = XGW_LINK_ETHERNET,
	};

	count(tenant, reason, bytes);
	remember_judged();
	if (is_told(tenant))
		publish_packet(skb, &event);
}

#endif
