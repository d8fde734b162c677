/* SPDX-License-Identifier: GPL-2.0 */
/* All maps. Sizes marked "set at load" are a default that the daemon overrides. */
#ifndef XGW_MAPS_H
#define XGW_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "shared.h"

#define XGW_MAX_TENANTS 8192
#define XGW_NIC_SLOTS 64 /* NICs have shares by their ifindex, modulo this */
_Static_assert(XGW_RULE_RESTS == XGW_MAX_TENANTS, "rules: a slot for the rest of each tenant");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XGW_MAX_TENANTS);
	__type(key, __u32); /* GRE key */
	__type(value, struct xgw_tenant);
} tenants SEC(".maps");

/* Devices by which a tenant's packets come to the stack: its tunnel and its VRF. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * XGW_MAX_TENANTS);
	__type(key, __u32);   /* ifindex */
	__type(value, __u32); /* tenant id, and XGW_DEVICE_VRF of a VRF */
} tunnels SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 131072); /* set at load */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct xgw_peer_key);
	__type(value, __u32); /* 1 */
} peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 131072); /* set at load */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct xgw_endpoint_key);
	__type(value, __be32); /* tunnel endpoint */
} endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 131072); /* set at load */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __be32);
	__type(value, struct xgw_public_ip);
} public_ips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1 << 20); /* a bound only: nodes are made as they are needed */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct xgw_destination_key);
	__type(value, struct xgw_destination);
} destinations SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1 << 24); /* a bound only */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct xgw_network_key);
	__type(value, struct xgw_page);
} policy_networks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1 << 24); /* a bound only */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct xgw_service_key);
	__type(value, __u32); /* mark */
} policy_services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct xgw_denial_key);
	__type(value, struct xgw_counter); /* bytes of inner IP packets */
} denials SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 262144); /* set at load */
	__type(key, struct xgw_connection_key);
	__type(value, struct xgw_connection);
} conntrack SEC(".maps");

/* Can be mapped, which also puts its lines on cache lines. Only lib/flow_table.h knows its way in it. */
#define XGW_FLOW_BUCKETS 32768
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_FLOW_BUCKETS); /* set at load, with flow_buckets */
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct xgw_flow_bucket);
} flows SEC(".maps");

/* Who writes in a bucket holds one of these. */
#define XGW_FLOW_LOCKS 4096
struct xgw_flow_lock {
	struct bpf_spin_lock lock;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_FLOW_LOCKS);
	__type(key, __u32);
	__type(value, struct xgw_flow_lock);
} flow_locks SEC(".maps");

/* Lines that each tenant has in `flows`. Counted after the lock: exact when nobody writes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_MAX_TENANTS);
	__type(key, __u32); /* tenant id */
	__type(value, __s64);
} flow_usage SEC(".maps");

#define XGW_ENCAPS 65536
_Static_assert(XGW_ENCAPS <= 65536, "xgw_flow: encap");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_ENCAPS);
	__type(key, __u32);
	__type(value, struct xgw_encap);
} encaps SEC(".maps");

/* 1 where a template is; the learner takes a place, the daemon gives it back. Apart from the template itself, so that
 * giving it back is one write, which touches nothing of what the next one writes there. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_ENCAPS);
	__type(key, __u32);
	__type(value, __u32);
} encaps_taken SEC(".maps");

/* Templates that a tenant has: what programs have taken, less what the daemon has given back, which it alone writes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_MAX_TENANTS);
	__type(key, __u32); /* tenant id; 0: all together */
	__type(value, __s64);
} encap_usage SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_MAX_TENANTS);
	__type(key, __u32); /* tenant id; 0: all together */
	__type(value, __s64);
} encap_returned SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_MAX_TENANTS);
	__type(key, __u32); /* tenant id */
	__type(value, __u32);
} generations SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_MAX_TENANTS);
	__type(key, __u32); /* tenant id; 0: the shares of those that have no number of their own */
	__type(value, struct xgw_limits);
} limits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xgw_settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_MAX_TENANTS);
	__type(key, __u32); /* tenant id; 0: nobody's */
	__type(value, struct xgw_losses);
} losses SEC(".maps");

/* What may be done, as a level that rises with time: bucket.h. */
struct xgw_bucket {
	__u64 filled; /* bpf_ktime_get_ns, up to which it has risen */
	__u64 level;  /* times * 10^9 */
	struct bpf_spin_lock lock;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_MAX_TENANTS);
	__type(key, __u32);		  /* tenant id; 0: what is anybody's */
	__type(value, struct xgw_bucket); /* of new connections */
} buckets SEC(".maps");

/* Of hosts that the kernel does not know, and that may ask for it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_NIC_SLOTS);
	__type(key, __u32); /* ifindex % XGW_NIC_SLOTS */
	__type(value, struct xgw_bucket);
} nic_buckets SEC(".maps");

/* Live connections of a tenant: those that came and went since the programs count, and what there was besides. Of all
 * tenants together in slot 0, so that what is not used of the shares can be anybody's. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_MAX_TENANTS);
	__type(key, __u32); /* tenant id */
	__type(value, __s64);
} session_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_MAX_TENANTS);
	__type(key, __u32); /* tenant id; 0: all */
	__type(value, __s64);
} session_base SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32); /* 1 when all of session_base is right */
} sessions_settled SEC(".maps");

/* Neighbours that the kernel has on tenants' tunnels. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 19); /* a bound only */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct xgw_neighbour_key);
	__type(value, __u32); /* tenant id */
} neighbours SEC(".maps");

/* The MAC address of each that the kernel would send to now: the first 6 of 8 bytes in memory. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 19); /* a bound only */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct xgw_neighbour_key);
	__type(value, __u64);
} neighbour_macs SEC(".maps");

/*
 * Neighbours of any device that the kernel has not heard of for a while (NUD_STALE): when it sends to one, it begins to
 * ask about it. XDP takes one out when it lets a packet of its own do that.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 19); /* a bound only */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct xgw_neighbour_key);
	__type(value, __u32); /* 1 */
} stale_neighbours SEC(".maps");

/* How many of `neighbours` each tenant has. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_MAX_TENANTS);
	__type(key, __u32); /* tenant id; 0: all */
	__type(value, __s64);
} neighbour_counts SEC(".maps");

/* Fragments of a tenant, or by a NIC, that may be waiting for the rest of their datagram: in two windows of time. */
struct xgw_fragment_level {
	__u64 since; /* jiffies, when the window began */
	__u64 now;   /* bytes that came in it */
	__u64 before;
	struct bpf_spin_lock lock;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_MAX_TENANTS + XGW_NIC_SLOTS);
	__type(key, __u32); /* tenant id, or XGW_MAX_TENANTS + ifindex % XGW_NIC_SLOTS */
	__type(value, struct xgw_fragment_level);
} fragment_levels SEC(".maps");

#define XGW_REFUSAL_BITS 10
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1 << XGW_REFUSAL_BITS);
	__type(key, __u32);
	__type(value, struct xgw_refusal);
} refusals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XGW_MAX_TENANTS);
	__type(key, __u32); /* tenant id */
	__type(value, struct xgw_reason_counters);
} reason_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_RULES);
	__type(key, __u32);
	__type(value, __u64);
} rules SEC(".maps");

/* As of templates. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_MAX_TENANTS);
	__type(key, __u32); /* tenant id; 0: all together */
	__type(value, __s64);
} rule_usage SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_MAX_TENANTS);
	__type(key, __u32); /* tenant id; 0: all together */
	__type(value, __s64);
} rule_returned SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XGW_RULES);
	__type(key, __u32);
	__type(value, struct xgw_rule_counters);
} rule_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 64);
	__type(key, __u32); /* ifindex */
	__type(value, __u32);
} nics SEC(".maps");

/* NICs that are bonds run XDP on their members: those by which a bond takes packets at the moment. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);   /* ifindex */
	__type(value, __u32); /* of the bond */
} bond_members SEC(".maps");

/* Packets that XDP has sent and a NIC has not. Of more NICs than these, nobody knows. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 256);
	__type(key, __u32); /* ifindex */
	__type(value, __u64);
} unsent SEC(".maps");

/* The address that a NIC sends the underlay's frames from, and so takes them by: the first 6 of 8 bytes in memory, and
 * behind it the NIC (nic_mac.h). The learner sees it in the frames that the kernel sends. */
#define XGW_NIC_MACS 4096
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_NIC_MACS);
	__type(key, __u32); /* ifindex % XGW_NIC_MACS */
	__type(value, __u64);
} nic_macs SEC(".maps");

/* A ring for each monitor that listens: the monitor makes it, puts it here and takes it away. */
#define XGW_MONITORS 4
#define XGW_MONITOR_BYTES (1 << 18)
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, XGW_MONITORS);
	__type(key, __u32);
	__array(
	    values, struct {
		    __uint(type, BPF_MAP_TYPE_RINGBUF);
		    __uint(max_entries, XGW_MONITOR_BYTES);
	    });
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xgw_listeners);
} listeners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XGW_MAX_TENANTS + 1);
	__type(key, __u32); /* tenant id; XGW_MAX_TENANTS: all together */
	__type(value, struct xgw_told);
} told SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XGW_MAX_TENANTS);
	__type(key, __u32); /* tenant id */
	__type(value, struct xgw_event_usage);
} event_usage SEC(".maps");

#endif
