/* SPDX-License-Identifier: GPL-2.0 */
/* What the machine's settings and the config say of all tenants, and may say otherwise at any time: see maps.h. */
#ifndef XGW_SETTINGS_H
#define XGW_SETTINGS_H

#include "../maps.h"

/* `at`: offset of the field, bytes. 0: nothing is said yet. */
static __always_inline __u32 setting_at(__u32 at)
{
	__u32 only = 0;
	const void *said = bpf_map_lookup_elem(&settings, &only);

	return said ? *(const volatile __u32 *)(said + at) : 0;
}

#define setting(field) setting_at(__builtin_offsetof(struct xgw_settings, field))

#endif
