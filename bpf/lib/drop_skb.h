/* SPDX-License-Identifier: GPL-2.0 */
/* What netfilter's programs have the kernel drop, or have seen it drop: counted, and told to those who listen. */
#ifndef XGW_DROP_SKB_H
#define XGW_DROP_SKB_H

#include "skb.h"
#include "verdict.h"

/* The packet's bytes from its IP header on that lie in one piece; *at: where. */
static __always_inline __u32 ip_bytes_of(const struct sk_buff *skb, const void **at)
{
	__u32 start = BPF_CORE_READ(skb, network_header), tail = BPF_CORE_READ(skb, tail);

	*at = BPF_CORE_READ(skb, head) + start;
	return tail > start ? tail - start : 0;
}

static __always_inline void drop(const struct sk_buff *skb, const struct xgw_flow_key *key, __u32 tenant,
				 enum xgw_reason reason)
{
	__u32 length = BPF_CORE_READ(skb, len);
	struct xgw_event event = {
	    .key = *key,
	    .tenant = tenant,
	    .kind = XGW_EVENT_DROP,
	    .reason = reason,
	    .ifindex = BPF_CORE_READ(skb, skb_iif),
	    .length = length,
	    .link = XGW_LINK_IP,
	};
	const void *bytes;

	count(tenant, reason, length);
	remember_judged();
	if (!is_told(tenant))
		return;
	event.captured = captured_of(ip_bytes_of(skb, &bytes));
	publish(&event, KERNEL_PACKET, (void *)bytes);
}

#endif
