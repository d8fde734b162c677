// SPDX-License-Identifier: GPL-2.0
/* XDP on a NIC's ingress: the fast path. A miss or a doubt goes up to the kernel; what may be dropped is
 * named here. */
#include "lib/account.h"
#include "lib/events.h"
#include "lib/forward.h"
#include "lib/parse.h"
#include "lib/path_mtu.h"
#include "lib/tenant.h"
#include "lib/types.h"
#include "lib/verdict.h"

/* The same on the uplink: everybody may send to a public address, and all else is the gateway's own. */
static __always_inline int admit_plain(const struct arrival *a, enum xgw_reason reason, __u64 bytes)
{
	struct xgw_public_ip *public = public_ip(a->key.daddr);

	return public ? pass(public->tenant, reason, bytes) : pass(0, XGW_REASON_HOST, bytes);
}

/* Admission of a packet that no flow answers for: the kernel gets it only from a peer of a tenant. */
static __always_inline int admit(const struct arrival *a, enum xgw_reason reason, __u64 bytes)
{
	struct xgw_tenant *tenant;

	if (uplink_ifindex && a->key.wrap == XGW_WRAP_PLAIN)
		return admit_plain(a, reason, bytes);
	tenant = tenant_by_key(a->key.realm);
	if (!tenant)
		return drop(0, XGW_REASON_UNKNOWN_KEY, bytes, &a->key, a->peer);
	if (!is_peer(tenant->id, a->peer))
		return drop(tenant->id, XGW_REASON_STRANGER, bytes, &a->key, a->peer);
	return pass(tenant->id, reason, bytes);
}

SEC("xdp")
int xgw_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 bytes = end - data;
	struct arrival a = {};
	struct xgw_flow flow, *place;
	enum xgw_reason reason;
	__u32 tenant;
	int action = XDP_PASS;

	asm volatile("" : "+r"(bytes)); /* lest it be taken anew in 32 bits, which pointers do not allow */
	reason = parse_outer(ctx, data, end, &a);
	if (uplink_ifindex && reason == XGW_REASON_HOST)
		reason = parse_plain(ctx, data, end, &a);
	if (reason == XGW_REASON_HOST) {
		heed_path_mtu(data + underlay_tag_bytes, end);
		return pass(0, reason, bytes);
	}
	if (reason == XGW_GO_ON)
		reason = parse_inner(data, end, &a);
	if (reason != XGW_GO_ON)
		return admit(&a, reason, bytes);
	place = flow_lookup(&a.key, &flow);
	if (!place)
		return admit(&a, XGW_REASON_NO_FLOW, bytes);

	tenant = flow.tenant;
	reason = forward(ctx, &a, place, &flow, bytes, &action);
	if (__builtin_expect(reason == XGW_REASON_FORWARDED, 1)) {
		account(flow.rule, XGW_TIER_XDP, 1, a.length);
		return action;
	}
	if (reason == XGW_REASON_GENERATION || reason == XGW_REASON_TEMPLATE)
		return admit(&a, reason, bytes); /* the flow is no answer any more: not to who may send, either */
	if (reason == XGW_REASON_STRANGER)
		return drop(tenant, reason, bytes, &a.key, a.peer);
	count(tenant, reason, bytes);
	return action;
}

char _license[] SEC("license") = "GPL";
