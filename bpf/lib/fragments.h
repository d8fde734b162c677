/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memory in which the kernel keeps fragments until their datagram is whole is one for a network namespace, and when
 * it is full, everybody's are refused. So each tenant has a share of it, and so has each NIC: beyond the part that is
 * anybody's, for which the kernel's own count is asked, who is over its share gets no more.
 *
 * Counted is what came within the time that the kernel waits for a datagram, less what was put together meanwhile:
 * never less than what waits, and the same for fragments of one size, as senders make them.
 */
#ifndef XGW_FRAGMENTS_H
#define XGW_FRAGMENTS_H

#include <linux/ip.h>
#include "../maps.h"
#include "config.h"
#include "limits.h"
#include "skb.h"

/* Counted for each fragment besides its bytes. A driver's buffer takes no more than twice the sum, however short it is.
 */
#define XGW_FRAGMENT_ROOM 2048

/*
 * The tenant that the device is of; of another device the slot behind the tenants'. Like a VRF's second pass, what
 * comes out of another instance's tunnel is not counted here: that instance does.
 */
static __always_inline __u32 fragment_slot(const struct net_device *device)
{
	__u32 ifindex = device->ifindex;
	__u32 *tenant = bpf_map_lookup_elem(&tunnels, &ifindex);

	if (tenant)
		return *tenant;
	return device->group & XGW_GROUP ? XGW_DEVICE_VRF : XGW_MAX_TENANTS + ifindex % XGW_NIC_SLOTS;
}

/* Moves on to the window that `now` is in: windows are of the kernel's time, and of what its timers may be late. */
static __always_inline void fragment_window(struct xgw_fragment_level *level, __u64 now, __u32 timeout)
{
	__u64 length = timeout + timeout / 8, elapsed = now - level->since;

	if (elapsed < length)
		return;
	level->before = elapsed < 2 * length ? level->now : 0;
	level->now = 0;
	level->since = elapsed < 2 * length ? level->since + length : now;
}

/* Is there room for a fragment of so many bytes? Then it takes it. */
static __always_inline int fragment_takes(__u32 slot, const struct fqdir *memory, __u32 bytes)
{
	struct xgw_fragment_level *level = bpf_map_lookup_elem(&fragment_levels, &slot);
	__u32 share = slot < XGW_MAX_TENANTS ? fragment_share : fragment_nic_share;
	__u64 now = bpf_jiffies64();
	__s64 all = memory->mem.counter;
	__u32 timeout = memory->timeout;
	int takes;

	if (!level)
		return 1;
	bpf_spin_lock(&level->lock);
	fragment_window(level, now, timeout);
	takes = may_have_one_more(level->now + level->before, all, 0, share, fragment_pool, 0);
	if (takes)
		level->now += bytes + XGW_FRAGMENT_ROOM;
	bpf_spin_unlock(&level->lock);
	return takes;
}

/*
 * A datagram is whole, and waits no more. `largest`: bytes of its largest fragment. It had no fewer fragments than of
 * that size. The older ones are taken to be its own, for they stop to count sooner.
 */
static __always_inline void fragments_leave(__u32 slot, __u32 bytes, __u32 largest)
{
	struct xgw_fragment_level *level = bpf_map_lookup_elem(&fragment_levels, &slot);
	__u32 header = sizeof(struct iphdr), payload = bytes - header, older, left;

	if (!level || bytes <= header || largest <= header)
		return;
	left = payload + (payload + largest - header - 1) / (largest - header) * (header + XGW_FRAGMENT_ROOM);
	bpf_spin_lock(&level->lock);
	older = level->before < left ? level->before : left;
	level->before -= older;
	left -= older;
	level->now -= level->now < left ? level->now : left;
	bpf_spin_unlock(&level->lock);
}

#endif
