// SPDX-License-Identifier: GPL-2.0
/* XDP on a NIC's ingress: the fast path. A miss or a doubt goes up to the kernel; what may be dropped is named here. */
#include "lib/events.h"
#include "lib/forward.h"
#include "lib/parse.h"
#include "lib/tenant.h"
#include "lib/types.h"
#include "lib/verdict.h"

/* Admission of a packet that no flow answers for: the kernel gets it only from a peer of a tenant. */
static __always_inline int admit(const struct arrival *a, enum xgw_reason reason, __u64 bytes)
{
	struct xgw_tenant *tenant = tenant_by_key(a->key.realm);

	if (!tenant) {
		emit_drop(XGW_REASON_UNKNOWN_KEY, &a->key, 0, a->peer);
		return drop(0, XGW_REASON_UNKNOWN_KEY, bytes);
	}
	if (!is_peer(tenant->id, a->peer)) {
		emit_drop(XGW_REASON_STRANGER, &a->key, tenant->id, a->peer);
		return drop(tenant->id, XGW_REASON_STRANGER, bytes);
	}
	return pass(tenant->id, reason, bytes);
}

SEC("xdp")
int xgw_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 bytes = end - data;
	struct arrival a = {};
	struct xgw_flow *flow;
	enum xgw_reason reason;
	__u32 tenant;
	int action = XDP_PASS;

	reason = parse_outer(data, end, &a);
	if (reason == XGW_REASON_HOST)
		return pass(0, reason, bytes);
	if (reason == XGW_GO_ON)
		reason = parse_inner(data, end, &a);
	if (reason != XGW_GO_ON)
		return admit(&a, reason, bytes);
	flow = flow_lookup(&a.key);
	if (!flow)
		return admit(&a, XGW_REASON_NO_FLOW, bytes);

	tenant = flow->tenant;
	reason = forward(ctx, &a, flow, &action);
	if (reason == XGW_REASON_GENERATION || reason == XGW_REASON_TEMPLATE)
		return admit(&a, reason, bytes); /* the flow is no answer any more: not to who may send, either */
	if (reason == XGW_REASON_STRANGER) {
		emit_drop(reason, &a.key, tenant, a.peer);
		return drop(tenant, reason, bytes);
	}
	count(tenant, reason, bytes);
	return action;
}

char _license[] SEC("license") = "GPL";
