/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bonds. The kernel runs a bond's XDP program on its members, and tells it the member, while routes, templates and the
 * config know the bond. What leaves by XDP_TX goes on by the member that the bond chooses (xdp_master_redirect), and so
 * does what is redirected to the bond. A member by which the bond takes nothing at the moment, as the backup of
 * another, is not in the map: what comes by it is the kernel's, which drops it.
 */
#ifndef XGW_BOND_H
#define XGW_BOND_H

#include <bpf/bpf_helpers.h>
#include "../maps.h"
#include "config.h"

/* The NIC that a frame came in by, as the config has it. */
static __always_inline __u32 arrival_nic(const struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex, *bond;

	if (!has_bonds)
		return ifindex;
	bond = bpf_map_lookup_elem(&bond_members, &ifindex);
	return bond ? *bond : ifindex;
}

#endif
