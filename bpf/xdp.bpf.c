// SPDX-License-Identifier: GPL-2.0
/* XDP on a NIC's ingress: the fast path. A miss or a doubt goes up to the kernel; what may be dropped is
 * named here. */
#include "lib/account.h"
#include "lib/admission.h"
#include "lib/bond.h"
#include "lib/drop_xdp.h"
#include "lib/forward.h"
#include "lib/parse.h"
#include "lib/types.h"
#include "lib/verdict.h"

SEC("xdp")
int xgw_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 bytes = frame_bytes(data, end);
	struct arrival a = {.nic = arrival_nic(ctx)};
	const struct xgw_refusal *refusal;
	struct xgw_flow flow, *place;
	enum xgw_reason reason;
	__u32 tenant;
	int action = XDP_PASS;

	reason = parse_outer(data, end, bytes, &a);
	if (uplink_ifindex && reason == XGW_REASON_HOST)
		reason = parse_plain(data, end, bytes, &a);
	if (reason == XGW_REASON_HOST)
		return pass(0, reason, bytes);
	/* Refusals are of tunnelled packets. A plain one has no key and no outer source, which a tunnelled one can
	 * forge. */
	refusal = uplink_ifindex && a.key.wrap == XGW_WRAP_PLAIN ? NULL : refused_before(&a);
	if (refusal)
		return drop(ctx, &a, refusal->tenant, refusal->reason, 0, bytes);
	if (reason == XGW_GO_ON)
		reason = parse_inner(data, end, &a);
	if (reason != XGW_GO_ON)
		return admit(ctx, &a, reason, bytes, 0);
	place = flow_lookup(&a.key, &flow);
	if (!place)
		return admit(ctx, &a, XGW_REASON_NO_FLOW, bytes, 1);

	tenant = flow.tenant;
	reason = forward(ctx, &a, place, &flow, bytes, &action);
	if (__builtin_expect(reason == XGW_REASON_FORWARDED, 1)) {
		account(flow.rule, XGW_TIER_XDP, 1, a.length);
		return action;
	}
	if (reason == XGW_REASON_GENERATION || reason == XGW_REASON_TEMPLATE)
		return admit(ctx, &a, reason, bytes, 1); /* the flow does not say any more who may send, either */
	if (reason == XGW_REASON_OTHER_HOST)
		return admit(ctx, &a, reason, bytes, 0); /* was found before the flow was asked who may send */
	if (reason == XGW_REASON_STRANGER)
		return drop(ctx, &a, tenant, reason, 0, bytes);
	count(tenant, reason, bytes);
	return action;
}

char _license[] SEC("license") = "GPL";
