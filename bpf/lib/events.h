/* SPDX-License-Identifier: GPL-2.0 */
/* Births and deaths of flows, and a sample of the drops, for whoever reads the ring. A full ring loses
 * events, no packet. */
#ifndef XGW_EVENTS_H
#define XGW_EVENTS_H

#include "../maps.h"
#include "config.h"

static __always_inline void emit(enum xgw_event_kind kind, enum xgw_reason reason, const struct xgw_flow_key *key,
				 __u32 tenant, __be32 peer)
{
	struct xgw_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return;
	event->time = bpf_ktime_get_ns();
	event->key = *key;
	event->tenant = tenant;
	event->peer = peer;
	event->kind = kind;
	event->reason = reason;
	bpf_ringbuf_submit(event, 0);
}

#endif
