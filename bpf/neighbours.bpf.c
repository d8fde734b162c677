// SPDX-License-Identifier: GPL-2.0
/*
 * Knows which neighbours the kernel has on tenants' tunnels, how many each tenant has, and which of all neighbours are
 * stale, by the tracepoints of net/core/neighbour.c. A neighbour is known by its name, so that to hear of one twice
 * changes nothing: programs of two versions may run at one time, and one that was there before is known from its next
 * change on.
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
	__u8 nud_state;
	__u8 dead;
	__u8 ha[32];
	__u8 primary_key[];
};

#pragma clang attribute pop

/* A neighbour on a device of the gateway's namespace; 0: it is not, or cannot be read. */
static __always_inline int name_of(const struct neigh_table *table, const struct net_device *device,
				   const void *address, struct xgw_neighbour_key *key)
{
	key->ifindex = BPF_CORE_READ(device, ifindex);
	return BPF_CORE_READ(table, family) == FAMILY_INET &&
	       BPF_CORE_READ(device, nd_net.net, ns.inum) == netns_inode &&
	       !bpf_probe_read_kernel(&key->address, sizeof(key->address), address);
}

static __always_inline int name_of_made(const struct neighbour *neighbour, struct xgw_neighbour_key *key)
{
	return name_of(BPF_CORE_READ(neighbour, tbl), BPF_CORE_READ(neighbour, dev),
		       __builtin_preserve_access_index(&neighbour->primary_key), key);
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

/* include/net/neighbour.h */
#define NUD_STALE 0x04
#define NUD_VALID 0xde /* the kernel sends to it */

static __always_inline void remember_staleness(const struct neighbour *neighbour, const struct xgw_neighbour_key *key)
{
	__u32 is_stale = 1;

	if (BPF_CORE_READ(neighbour, nud_state) == NUD_STALE)
		bpf_map_update_elem(&stale_neighbours, key, &is_stale, BPF_ANY);
	else
		bpf_map_delete_elem(&stale_neighbours, key);
}

/* Where the kernel sends what is for it, and XDP as well: lib/way.h. */
static __always_inline void remember_mac(const struct neighbour *neighbour, const struct xgw_neighbour_key *key)
{
	__u64 mac = 0;

	if (!bpf_map_lookup_elem(&neighbours, key))
		return;
	if (BPF_CORE_READ(neighbour, nud_state) & NUD_VALID &&
	    !bpf_probe_read_kernel(&mac, 6, __builtin_preserve_access_index(&neighbour->ha)))
		bpf_map_update_elem(&neighbour_macs, key, &mac, BPF_ANY);
	else
		bpf_map_delete_elem(&neighbour_macs, key);
}

#pragma clang diagnostic ignored "-Wunused-parameter" /* BPF_PROG's context */

/*
 * A moment before it is in the table; `neighbour`: not filled yet, or NULL when the table is full. Raw tracepoints, for
 * up to Linux 6.12 no other program may read the address.
 */
SEC("raw_tp/neigh_create")
int BPF_PROG(xgw_neighbour_made, struct neigh_table *table, struct net_device *device, const void *address,
	     struct neighbour *neighbour)
{
	struct xgw_neighbour_key key = {};

	if (neighbour && name_of(table, device, address, &key))
		add(&key);
	return 0;
}

/* One that was made before anybody counted, or whose name went with the one that it follows. */
SEC("raw_tp/neigh_update_done")
int BPF_PROG(xgw_neighbour_seen, struct neighbour *neighbour)
{
	struct xgw_neighbour_key key = {};

	if (BPF_CORE_READ(neighbour, dead) || !name_of_made(neighbour, &key))
		return 0;
	add(&key);
	remember_mac(neighbour, &key);
	remember_staleness(neighbour, &key);
	return 0;
}

/* That one has not been heard of for a while, or is not there any more, is found out by a timer, and nobody is told. */
SEC("raw_tp/neigh_timer_handler")
int BPF_PROG(xgw_neighbour_asked, struct neighbour *neighbour)
{
	struct xgw_neighbour_key key = {};

	if (!name_of_made(neighbour, &key))
		return 0;
	remember_mac(neighbour, &key);
	remember_staleness(neighbour, &key);
	return 0;
}

/* The tenant is the one that it was counted for: its tunnel may have left the maps. */
SEC("raw_tp/neigh_cleanup_and_release")
int BPF_PROG(xgw_neighbour_gone, struct neighbour *neighbour)
{
	struct xgw_neighbour_key key = {};
	__u32 *tenant, id;

	if (!name_of_made(neighbour, &key))
		return 0;
	bpf_map_delete_elem(&neighbour_macs, &key);
	bpf_map_delete_elem(&stale_neighbours, &key);
	tenant = bpf_map_lookup_elem(&neighbours, &key);
	if (!tenant)
		return 0;
	id = *tenant;
	if (!bpf_map_delete_elem(&neighbours, &key))
		count_neighbour(id, -1);
	return 0;
}

char _license[] SEC("license") = "GPL";
