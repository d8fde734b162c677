/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The learner sees packets as they leave, and must know when and by which side they came in: what was decided before a
 * change teaches nothing after it, and a packet may wait for seconds in between, for a neighbour above all. So each
 * packet that the kernel takes in for a tenant bears the tenant's generation of that moment, in the skb's tc_index: it
 * stays with the skb through forwarding, flowtable, tunnel and GSO (skb_scrub_packet leaves it), and it is for tc alone
 * to use. Whatever the kernel decides about the packet it decides later.
 *
 * There is room for a part of the generation. A number comes again after 8,192 changes of the tenant, which the daemon
 * makes no faster than in 80 s (src/daemon/redecisions.ts); no packet waits that long.
 */
#ifndef XGW_ENTRANCE_H
#define XGW_ENTRANCE_H

#include <linux/bpf.h>
#include "tenant.h"

#define ENTERED 0x8000 /* else the other bits mean nothing */
#define FROM_UPLINK 0x4000
#define ENTERED_GENERATION 0x3fff

/* tc_index of a packet that comes in now. */
static __always_inline __u32 entered_now(__u32 tenant)
{
	return ENTERED | (generation_of(tenant) & ENTERED_GENERATION);
}

/* Has the tenant not changed since? */
static __always_inline int entered_in(__u32 tc_index, __u32 generation)
{
	return (tc_index & ~FROM_UPLINK) == (ENTERED | (generation & ENTERED_GENERATION));
}

/*
 * A packet comes out of a tunnel. What the uplink's program has handed to the tunnel has come in already, as its mark
 * says: that does not survive the way from another network namespace (skb_scrub_packet), whose root may write into
 * tc_index what it likes.
 */
static __always_inline void enter(struct __sk_buff *skb)
{
	__u32 tenant = tenant_of_device(skb->ifindex);

	if (tenant && !(skb->mark & XGW_MARK_UPLINK))
		skb->tc_index = entered_now(tenant);
}

#endif
