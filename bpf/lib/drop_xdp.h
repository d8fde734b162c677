/* SPDX-License-Identifier: GPL-2.0 */
/* What XDP drops: counted, and told to those who listen. */
#ifndef XGW_DROP_XDP_H
#define XGW_DROP_XDP_H

#include "parse.h"
#include "verdict.h"

/* Not static, so that the verifier looks at it once. */
__noinline __attribute__((unused)) int tell_frame(struct xdp_md *ctx, const struct arrival *a, __u32 tenant,
						  enum xgw_reason reason, __u32 mark)
{
	__u64 bytes = bpf_xdp_get_buff_len(ctx);
	struct xgw_event event = {
	    .tenant = tenant,
	    .kind = XGW_EVENT_DROP,
	    .reason = reason,
	    .mark = mark,
	    .length = bytes,
	    .captured = captured_of(bytes),
	    .link = XGW_LINK_ETHERNET,
	};

	if (!a)
		return 0;
	event.key = a->key;
	event.peer = a->peer;
	event.ifindex = a->nic;
	publish(&event, XDP_FRAME, ctx);
	return 0;
}

/* A frame of so many bytes. `mark`: conntrack's, of the rule that refuses it; 0: no rule does. */
static __always_inline int drop(struct xdp_md *ctx, const struct arrival *a, __u32 tenant, enum xgw_reason reason,
				__u32 mark, __u64 bytes)
{
	count(tenant, reason, bytes);
	if (__builtin_expect(is_told(tenant), 0))
		tell_frame(ctx, a, tenant, reason, mark);
	return XDP_DROP;
}

#endif
