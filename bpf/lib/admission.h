/* SPDX-License-Identifier: GPL-2.0 */
/* What becomes of a packet that no flow answers for: the kernel gets it only from a peer of a tenant, and what
 * begins a connection only if the tenant may have it. */
#ifndef XGW_ADMISSION_H
#define XGW_ADMISSION_H

#include "drop_xdp.h"
#include "policy.h"
#include "refusal.h"

/* `tenant`: the one whose peer it is not; NULL when no tenant has the key. `generation`: see refusal.h. */
static __noinline int refuse(struct xdp_md *ctx, const struct arrival *a, const struct xgw_tenant *tenant,
			     __u32 generation, __u64 bytes)
{
	__u32 id = tenant ? tenant->id : 0;
	enum xgw_reason reason = tenant ? XGW_REASON_STRANGER : XGW_REASON_UNKNOWN_KEY;

	remember_refusal(a, id, reason, generation);
	return drop(ctx, a, id, reason, 0, bytes);
}

/* TCP or UDP of the tenant, with all of its tuple. */
static __always_inline int admit_beginning(struct xdp_md *ctx, const struct arrival *a, const struct xgw_tenant *tenant,
					   enum xgw_reason reason, __u64 bytes)
{
	__u32 mark = 0;
	enum xgw_reason verdict = judge_beginning(ctx, a, tenant, &mark);

	if (verdict == XGW_GO_ON)
		return pass(tenant->id, reason, bytes);
	if (verdict == XGW_REASON_POLICY)
		count_denial(tenant->id, mark, a->length);
	return drop(ctx, a, tenant->id, verdict, verdict == XGW_REASON_POLICY ? mark : 0, bytes);
}

/* On the uplink everybody may send to a public address, and all else is the gateway's own. */
static __noinline int admit_plain(struct xdp_md *ctx, const struct arrival *a, enum xgw_reason reason, __u64 bytes,
				  int whole)
{
	struct xgw_public_ip *public = public_ip(a->key.daddr);
	struct xgw_tenant *tenant;

	if (!public)
		return pass(0, XGW_REASON_HOST, bytes);
	tenant = tenant_by_key(public->key);
	if (!whole || !tenant)
		return pass(public->tenant, reason, bytes);
	return admit_beginning(ctx, a, tenant, reason, bytes);
}

static __noinline int admit_tunnelled(struct xdp_md *ctx, const struct arrival *a, enum xgw_reason reason, __u64 bytes,
				      int whole)
{
	__u32 nobody_yet = generation_of(0), generation;
	struct xgw_tenant *tenant = tenant_by_key(a->key.realm);

	if (!tenant)
		return refuse(ctx, a, NULL, nobody_yet, bytes);
	generation = generation_of(tenant->id);
	if (!is_peer(tenant->id, a->peer))
		return refuse(ctx, a, tenant, generation, bytes);
	if (!whole)
		return pass(tenant->id, reason, bytes);
	return admit_beginning(ctx, a, tenant, reason, bytes);
}

/* `whole`: TCP or UDP, with all of its tuple. */
static __always_inline int admit(struct xdp_md *ctx, const struct arrival *a, enum xgw_reason reason, __u64 bytes,
				 int whole)
{
	if (uplink_ifindex && a->key.wrap == XGW_WRAP_PLAIN)
		return admit_plain(ctx, a, reason, bytes, whole);
	return admit_tunnelled(ctx, a, reason, bytes, whole);
}

#endif
