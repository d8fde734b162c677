/* SPDX-License-Identifier: GPL-2.0 */
/* The one place through which every packet that XDP does not forward leaves it: counted once, under its tenant and
 * reason. (What it forwards is counted by rule: account.h.) */
#ifndef XGW_VERDICT_H
#define XGW_VERDICT_H

#include "../maps.h"
#include "events.h"

/* Tenant 0 stands for "no tenant". */
static __always_inline void count(__u32 tenant, enum xgw_reason reason, __u64 bytes)
{
	struct xgw_reason_counters *counters = bpf_map_lookup_elem(&reason_stats, &tenant);
	struct xgw_counter *counter;

	if (!counters)
		return;
	counter = &counters->reasons[reason & (XGW_REASON_SLOTS - 1)];
	counter->bytes += bytes;
	counter->packets++;
}

static __always_inline int pass(__u32 tenant, enum xgw_reason reason, __u64 bytes)
{
	count(tenant, reason, bytes);
	return XDP_PASS;
}

static __always_inline __u32 captured_of(__u64 length)
{
	return length < XGW_EVENT_BYTES ? length : XGW_EVENT_BYTES;
}

#endif
