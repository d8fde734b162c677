/* SPDX-License-Identifier: GPL-2.0 */
/* Doubt whether a flow still has its connection. */
#ifndef XGW_FLOW_DOUBT_H
#define XGW_FLOW_DOUBT_H

#include "../shared.h"
#include "config.h"

/*
 * The flow asks conntrack with its next packet. A flow that is to ask anyway is left alone: any number of doubts costs
 * one question.
 */
static __always_inline void flow_doubt(struct xgw_flow *place)
{
	__u32 due = (__u32)bpf_jiffies64() - liveness_jiffies;

	if ((__s32)(*(volatile __u32 *)&place->checked - due) > 0)
		*(volatile __u32 *)&place->checked = due;
}

#endif
