/* SPDX-License-Identifier: GPL-2.0 */
/* The one place through which every packet leaves the programs: counted once, under its tenant and reason. */
#ifndef XGW_VERDICT_H
#define XGW_VERDICT_H

#include "../maps.h"

/* Tenant 0 stands for "no tenant". */
static __always_inline void count(__u32 tenant, enum xgw_reason reason, __u64 bytes)
{
	__u32 slot = tenant * XGW_REASON_SLOTS + reason;
	struct xgw_counter *counter = bpf_map_lookup_elem(&stats, &slot);

	if (counter) {
		counter->packets++;
		counter->bytes += bytes;
	}
}

static __always_inline int pass(__u32 tenant, enum xgw_reason reason, __u64 bytes)
{
	count(tenant, reason, bytes);
	return XDP_PASS;
}

static __always_inline int drop(__u32 tenant, enum xgw_reason reason, __u64 bytes)
{
	count(tenant, reason, bytes);
	return XDP_DROP;
}

#endif
