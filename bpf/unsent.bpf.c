// SPDX-License-Identifier: GPL-2.0
/*
 * Counts what XDP has sent and no NIC has: to the program it was a redirect or a transmission like any other, and it is
 * the kernel that finds out, by the tracepoints of trace/events/xdp.h. Raw ones, for they say nothing of the device but
 * its pointer. Those that come with each batch that is sent do nothing where all of it was.
 */
#include "lib/config.h"
#include "lib/skb.h"
#include "maps.h"
#include <bpf/bpf_tracing.h>

/* The network namespace that the gateway is in: inode number of its file in /proc. */
const volatile __u32 netns_inode;

/* By the NIC that should have sent them, a bond for its members; `near`: a device of the same namespace. */
static __always_inline void count_unsent(const struct net_device *near, __u32 ifindex, int packets)
{
	__u32 *bond = bpf_map_lookup_elem(&bond_members, &ifindex);
	__u64 none = 0, *count;

	if (packets <= 0 || BPF_CORE_READ(near, nd_net.net, ns.inum) != netns_inode)
		return;
	if (bond)
		ifindex = *bond;
	count = bpf_map_lookup_elem(&unsent, &ifindex);
	if (!count) {
		bpf_map_update_elem(&unsent, &ifindex, &none, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&unsent, &ifindex);
	}
	if (count)
		*count += packets;
}

#pragma clang diagnostic ignored "-Wunused-parameter" /* BPF_PROG's context */

/*
 * A redirect that led nowhere: to a NIC in `nics`, or by a bond to a member, which is no map. `index`: of either the
 * ifindex, for a key in `nics` is one.
 */
SEC("raw_tp/xdp_redirect_err")
int BPF_PROG(xgw_not_redirected, const struct net_device *from, const void *program, const void *target, int error,
	     int map_type, __u32 map, __u32 index)
{
	if (map_type == BPF_MAP_TYPE_DEVMAP_HASH || map_type == BPF_MAP_TYPE_UNSPEC)
		count_unsent(from, index, 1);
	return 0;
}

/* What was redirected to a NIC, in a batch. */
SEC("raw_tp/xdp_devmap_xmit")
int BPF_PROG(xgw_not_taken, const struct net_device *from, const struct net_device *to, int sent, int dropped)
{
	if (dropped > 0)
		count_unsent(to, BPF_CORE_READ(to, ifindex), dropped);
	return 0;
}

/* What was to go out by the NIC that it came in by. */
SEC("raw_tp/xdp_exception")
int BPF_PROG(xgw_not_transmitted, const struct net_device *nic, const void *program, __u32 action)
{
	if (action == XDP_TX)
		count_unsent(nic, BPF_CORE_READ(nic, ifindex), 1);
	return 0;
}

/* The same in a batch, by the few drivers that tell of it so. */
SEC("raw_tp/xdp_bulk_tx")
int BPF_PROG(xgw_not_transmitted_at_once, const struct net_device *nic, int sent, int dropped)
{
	if (dropped > 0)
		count_unsent(nic, BPF_CORE_READ(nic, ifindex), dropped);
	return 0;
}

char _license[] SEC("license") = "GPL";
