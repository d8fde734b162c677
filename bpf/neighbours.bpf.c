// SPDX-License-Identifier: GPL-2.0
/*
 * Knows which neighbours the kernel has on tenants' tunnels, and how many each tenant has, by the tracepoints of
 * net/core/neighbour.c. A neighbour is known by its name, so that to hear of one twice changes nothing: programs of two
 * versions may run at one time, and one that was there before is known from its next change on.
 */
#include "lib/config.h"
#include "lib/skb.h"
#include "maps.h"
#include <bpf/bpf_tracing.h>

/* The network namespace that the gateway is in: inode number of its file in /proc. */
const volatile __u32 netns_inode;

#define FAMILY_INET 2

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct neigh_table {
	int family;
};

struct neighbour {
	struct neigh_table *tbl;
	struct net_device *dev;
	__u8 dead;
	__u8 primary_key[];
};

#pragma clang attribute pop

static __always_inline int is_ours(const struct neigh_table *table, const struct net_device *device)
{
	return table->family == FAMILY_INET && device->nd_net.net->ns.inum == netns_inode;
}

static __always_inline void count_neighbour(__u32 tenant, __s64 change)
{
	__s64 *of_tenant = bpf_map_lookup_elem(&neighbour_counts, &tenant), *of_all;
	__u32 all = 0;

	of_all = bpf_map_lookup_elem(&neighbour_counts, &all);
	if (!of_tenant || !of_all)
		return;
	__sync_fetch_and_add(of_tenant, change);
	__sync_fetch_and_add(of_all, change);
}

static __always_inline void add(const struct xgw_neighbour_key *key)
{
	__u32 ifindex = key->ifindex, *tenant = bpf_map_lookup_elem(&tunnels, &ifindex);

	if (tenant && !bpf_map_update_elem(&neighbours, key, tenant, BPF_NOEXIST))
		count_neighbour(*tenant, 1);
}

#pragma clang diagnostic ignored "-Wunused-parameter" /* BPF_PROG's context */

/* A moment before it is in the table. */
SEC("tp_btf/neigh_create")
int BPF_PROG(xgw_neighbour_made, struct neigh_table *table, struct net_device *device, const void *address)
{
	struct xgw_neighbour_key key = {.ifindex = device->ifindex};

	if (is_ours(table, device) && !bpf_probe_read_kernel(&key.address, sizeof(key.address), address))
		add(&key);
	return 0;
}

/* One that was made before anybody counted, or whose name went with the one that it follows. */
SEC("tp_btf/neigh_update_done")
int BPF_PROG(xgw_neighbour_seen, struct neighbour *neighbour)
{
	struct xgw_neighbour_key key = {.ifindex = neighbour->dev->ifindex};

	if (!neighbour->dead && is_ours(neighbour->tbl, neighbour->dev) &&
	    !bpf_core_read(&key.address, sizeof(key.address), &neighbour->primary_key))
		add(&key);
	return 0;
}

/* The tenant is the one that it was counted for: its tunnel may have left the maps. */
SEC("tp_btf/neigh_cleanup_and_release")
int BPF_PROG(xgw_neighbour_gone, struct neighbour *neighbour)
{
	struct xgw_neighbour_key key = {.ifindex = neighbour->dev->ifindex};
	__u32 *tenant, id;

	if (!is_ours(neighbour->tbl, neighbour->dev) ||
	    bpf_core_read(&key.address, sizeof(key.address), &neighbour->primary_key))
		return 0;
	tenant = bpf_map_lookup_elem(&neighbours, &key);
	if (!tenant)
		return 0;
	id = *tenant;
	if (!bpf_map_delete_elem(&neighbours, &key))
		count_neighbour(id, -1);
	return 0;
}

char _license[] SEC("license") = "GPL";
