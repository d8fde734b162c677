/* SPDX-License-Identifier: GPL-2.0 */
/* What a tenant may have: a number of its own, else the share that every tenant has. */
#ifndef XGW_LIMITS_H
#define XGW_LIMITS_H

#include "../maps.h"

/* `at`: offset of the field, bytes. 0: there is no limit. */
static __always_inline __u32 limit_at(__u32 tenant, __u32 at)
{
	__u32 nobody = 0;
	const struct xgw_limits *own = bpf_map_lookup_elem(&limits, &tenant), *shares;
	__u32 limit = own ? *(const volatile __u32 *)((const void *)own + at) : 0;

	if (limit)
		return limit;
	shares = bpf_map_lookup_elem(&limits, &nobody);
	return shares ? *(const volatile __u32 *)((const void *)shares + at) : 0;
}

/* Of a field of struct xgw_limits; 0: there is no limit. */
#define limit_of(tenant, field) limit_at(tenant, __builtin_offsetof(struct xgw_limits, field))

#endif
