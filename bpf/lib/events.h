/* SPDX-License-Identifier: GPL-2.0 */
/* Births and deaths of flows, and a sample of the drops, for whoever reads the ring. A full ring loses
 * events, no packet; so does a tenant that has had its share of them in this second. */
#ifndef XGW_EVENTS_H
#define XGW_EVENTS_H

#include "../maps.h"
#include "config.h"
#include "monitor.h"
#include "usage.h"

#define EVENT_SECOND_NS 1000000000ull

/* Is there a place in the tenant's share of this second? Two CPUs at the turn of a second may find a few more.
 * (Netfilter programs have no coarse clock.) */
static __always_inline int event_admitted(struct xgw_event_usage *usage, __u32 share)
{
	__u64 now = bpf_ktime_get_ns() / EVENT_SECOND_NS, second = *(volatile __u64 *)&usage->second;

	if (!share)
		return 1;
	if (second != now && __sync_val_compare_and_swap(&usage->second, second, now) == second)
		*(volatile __u64 *)&usage->emitted = 0;
	return __sync_fetch_and_add(&usage->emitted, 1) < share;
}

static __always_inline void into_ring(enum xgw_event_kind kind, enum xgw_reason reason, const struct xgw_flow_key *key,
				      __u32 tenant, __be32 peer)
{
	struct xgw_event_usage *usage = bpf_map_lookup_elem(&event_usage, &tenant);
	struct xgw_event *event = NULL;

	if (!usage)
		return;
	if (event_admitted(usage, limit_of(tenant, events_per_second)))
		event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count_loss(tenant, events_lost);
		return;
	}
	event->time = bpf_ktime_get_ns();
	event->key = *key;
	event->tenant = tenant;
	event->peer = peer;
	event->kind = kind;
	event->reason = reason;
	bpf_ringbuf_submit(event, 0);
}

/* Of a flow. */
static __always_inline void emit(enum xgw_event_kind kind, enum xgw_reason reason, const struct xgw_flow_key *key,
				 __u32 tenant, __be32 peer)
{
	into_ring(kind, reason, key, tenant, peer);
	if (is_watched(tenant))
		tell_of_flow(key, TELL_WHO(tenant, peer), TELL_WHAT(kind, reason, 0));
}

#endif
