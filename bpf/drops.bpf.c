// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel itself drops of tenants' packets, for one monitor, which loads this beside the gateway's maps and
 * takes it along when it ends. A tenant's packet is one that came by, or is to leave by, the tenant's devices.
 */
#include "lib/monitor.h"
#include "lib/skb.h"
#include <bpf/bpf_tracing.h>
#include <linux/in.h>

/* The network namespace that the gateway is in: inode number of its file in /proc. */
const volatile __u32 netns_inode;
/* The monitor's. */
const volatile __u32 monitor_slot;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XGW_MAX_TENANTS);
	__type(key, __u32); /* tenant id */
	__type(value, struct xgw_monitor_window);
} drops_windows SEC(".maps");

/* Drops that were not told: 0: the ring was full; 1: over the tenant's share. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} drops_missed SEC(".maps");

static __always_inline void count_untold(__u32 why)
{
	__u64 *untold = bpf_map_lookup_elem(&drops_missed, &why);

	if (untold)
		(*untold)++;
}

/* The tenant whose device it is, or 0. */
static __always_inline __u32 owner_of(__u32 ifindex)
{
	__u32 *tenant = bpf_map_lookup_elem(&tunnels, &ifindex);

	return tenant ? *tenant & ~XGW_DEVICE_VRF : 0;
}

static __always_inline int is_admitted(__u32 tenant)
{
	struct xgw_monitor_window *window = bpf_map_lookup_elem(&drops_windows, &tenant);
	__u32 now = bpf_jiffies64() >> MONITOR_WINDOW_SHIFT;

	if (!window)
		return 0;
	if (window->number != now) {
		window->number = now;
		window->events = 0;
	}
	return window->events++ < MONITOR_WINDOW_EVENTS;
}

static __always_inline void read_tuple(const void *ip_header, struct xgw_flow_key *key)
{
	struct iphdr ip = {};
	__be16 ports[2] = {};

	bpf_probe_read_kernel(&ip, sizeof(ip), ip_header);
	key->saddr = ip.saddr;
	key->daddr = ip.daddr;
	key->protocol = ip.protocol;
	if ((ip.protocol != IPPROTO_TCP && ip.protocol != IPPROTO_UDP) || ip.frag_off & __builtin_bswap16(0x1fff))
		return;
	bpf_probe_read_kernel(ports, sizeof(ports), ip_header + ip.ihl * 4);
	key->sport = ports[0];
	key->dport = ports[1];
}

#pragma clang diagnostic ignored "-Wunused-parameter" /* BPF_PROG's context */

SEC("raw_tp/kfree_skb")
int BPF_PROG(xgw_kernel_drop, struct sk_buff *skb, void *location, __u32 reason)
{
	struct net_device *device = BPF_CORE_READ(skb, dev);
	__u32 tenant, slot = monitor_slot, bytes;
	struct xgw_monitor_event *event;
	struct nf_conn *ct;
	void *ring, *ip;

	if (!device || BPF_CORE_READ(skb, protocol) != __builtin_bswap16(0x0800))
		return 0;
	tenant = owner_of(BPF_CORE_READ(device, ifindex));
	if (!tenant)
		tenant = owner_of(BPF_CORE_READ(skb, skb_iif));
	if (!tenant || BPF_CORE_READ(device, nd_net.net, ns.inum) != netns_inode)
		return 0;
	if (!is_admitted(tenant)) {
		count_untold(1);
		return 0;
	}
	ring = bpf_map_lookup_elem(&monitor_rings, &slot);
	if (!ring)
		return 0;
	event = bpf_ringbuf_reserve(ring, sizeof(*event), 0);
	if (!event) {
		count_untold(0);
		return 0;
	}
	__builtin_memset(event, 0, __builtin_offsetof(struct xgw_monitor_event, packet));
	ip = BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header);
	read_tuple(ip, &event->event.key);
	event->event.time = bpf_ktime_get_ns();
	event->event.tenant = tenant;
	event->event.kind = XGW_EVENT_KERNEL_DROP;
	event->event.reason = reason;
	ct = (struct nf_conn *)(BPF_CORE_READ(skb, _nfct) & ~NFCT_BITS);
	if (ct)
		event->mark = BPF_CORE_READ(ct, mark);
	bytes = (__u32)(BPF_CORE_READ(skb, data) + BPF_CORE_READ(skb, len) - (unsigned char *)ip);
	event->length = bytes;
	if (bytes > XGW_MONITOR_PACKET)
		bytes = XGW_MONITOR_PACKET;
	event->captured = bytes;
	if (bytes)
		look_at_ip(ip, event, bytes);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

char _license[] SEC("license") = "GPL";
