/* SPDX-License-Identifier: GPL-2.0 */
/* The one place through which every packet that XDP does not forward leaves it: counted once, under its tenant and
 * reason. (What it forwards is counted by rule: account.h.) */
#ifndef XGW_VERDICT_H
#define XGW_VERDICT_H

#include "../maps.h"
#include "events.h"

/* How many of the kind this CPU has seen. Tenant 0 stands for "no tenant". */
static __always_inline __u64 count(__u32 tenant, enum xgw_reason reason, __u64 bytes)
{
	struct xgw_reason_counters *counters = bpf_map_lookup_elem(&reason_stats, &tenant);
	struct xgw_counter *counter;

	if (!counters)
		return 0;
	counter = &counters->reasons[reason & (XGW_REASON_SLOTS - 1)];
	counter->bytes += bytes;
	return ++counter->packets;
}

static __always_inline int pass(__u32 tenant, enum xgw_reason reason, __u64 bytes)
{
	count(tenant, reason, bytes);
	return XDP_PASS;
}

/* Some drops are told as events: the counts say which, so that the first of a kind always is. */
static __always_inline int drop(__u32 tenant, enum xgw_reason reason, __u64 bytes, const struct xgw_flow_key *key,
				__be32 peer)
{
	__u64 packets = count(tenant, reason, bytes);

	if (drop_event_every && !((packets - 1) & (drop_event_every - 1)))
		into_ring(XGW_EVENT_DROP, reason, key, tenant, peer);
	return XDP_DROP;
}

/* The same by XDP, with the frame for those who watch. `mark`: of the rule that denies it. */
static __always_inline int drop_frame(struct xdp_md *ctx, __u32 tenant, enum xgw_reason reason, __u64 bytes,
				      const struct xgw_flow_key *key, __be32 peer, __u32 mark)
{
	if (is_watched(tenant))
		tell_of_frame(ctx, key, TELL_WHO(tenant, peer), TELL_WHAT(XGW_EVENT_DROP, reason, mark), bytes);
	return drop(tenant, reason, bytes, key, peer);
}

/* By tc. `bytes`: as they are counted. */
static __always_inline void drop_skb(struct __sk_buff *skb, __u32 tenant, enum xgw_reason reason, __u64 bytes,
				     const struct xgw_flow_key *key)
{
	if (is_watched(tenant))
		tell_of_skb(skb, key, TELL_WHO(tenant, 0), TELL_WHAT(XGW_EVENT_DROP, reason, 0), skb->len);
	drop(tenant, reason, bytes, key, 0);
}

/* By netfilter, where a packet begins with its IP header. `data`: skb->data */
static __always_inline void drop_ip(void *data, __u32 tenant, enum xgw_reason reason, __u32 bytes,
				    const struct xgw_flow_key *key)
{
	if (is_watched(tenant))
		tell(look_at_ip, data, key, TELL_WHO(tenant, 0), TELL_WHAT(XGW_EVENT_DROP, reason, 0), bytes);
	drop(tenant, reason, bytes, key, 0);
}

#endif
