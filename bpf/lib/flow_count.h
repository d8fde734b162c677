/* SPDX-License-Identifier: GPL-2.0 */
/* A flow's own counts, for people who look at it. */
#ifndef XGW_FLOW_COUNT_H
#define XGW_FLOW_COUNT_H

#include "../shared.h"

/* Counts a packet in a line that may have another flow meanwhile: only what belongs to the counts is written. */
static __always_inline void flow_count(struct xgw_flow *place, __u32 bytes)
{
	__u32 low = place->bytes_low + bytes;

	place->packets++;
	place->bytes_low = low;
	if (__builtin_expect(low < bytes, 0))
		place->bytes_high++;
}

#endif
