/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What happens, for those who watch (`xgw monitor`): each has a ring of its own in a slot, and says until when it
 * listens. While nobody does, an event costs the look at one word. While somebody does, each CPU tells some of a
 * tenant's events in each window of time, and the rest is only counted: a flood of one tenant hides nobody else's.
 */
#ifndef XGW_MONITOR_H
#define XGW_MONITOR_H

#include "../maps.h"
#include <bpf/bpf_core_read.h>

/* Ticks of a window as a power of two: 64 ms to 0.64 s, by the kernel's HZ. */
#define MONITOR_WINDOW_SHIFT 6
/* Events of one tenant by one CPU in a window. */
#define MONITOR_WINDOW_EVENTS 64

static __always_inline void count_missed(__u32 why)
{
	__u64 *missed = bpf_map_lookup_elem(&monitor_missed, &why);

	if (missed)
		(*missed)++;
}

static __always_inline int window_admits(__u32 tenant)
{
	struct xgw_monitor_window *window = bpf_map_lookup_elem(&monitor_windows, &tenant);
	__u32 now = bpf_jiffies64() >> MONITOR_WINDOW_SHIFT;

	if (!window)
		return 0;
	if (window->number != now) {
		window->number = now;
		window->events = 0;
	}
	return window->events++ < MONITOR_WINDOW_EVENTS;
}

/* Is an event of the tenant to be told? */
static __always_inline int is_watched(__u32 tenant)
{
	__u32 anybody = XGW_MONITORS;
	__u64 *listens = bpf_map_lookup_elem(&monitors, &anybody);

	if (!listens || __builtin_expect(!*(volatile __u64 *)listens, 1))
		return 0;
	if (window_admits(tenant))
		return 1;
	count_missed(XGW_MONITORS);
	return 0;
}

/* Copies the packet's first `bytes`; what cannot be read leaves the event without. */
typedef void look_at(void *packet, struct xgw_monitor_event *event, __u32 bytes);

static __always_inline void look_at_frame(void *ctx, struct xgw_monitor_event *event, __u32 bytes)
{
	if (bpf_xdp_load_bytes(ctx, 0, event->packet, bytes))
		return;
	event->ifindex = ((struct xdp_md *)ctx)->ingress_ifindex;
	event->link = XGW_LINK_ETHERNET;
}

static __always_inline void look_at_skb(void *ctx, struct xgw_monitor_event *event, __u32 bytes)
{
	if (bpf_skb_load_bytes(ctx, 0, event->packet, bytes))
		return;
	event->ifindex = ((struct __sk_buff *)ctx)->ifindex;
	event->link = XGW_LINK_ETHERNET;
}

/* From the IP header on, as netfilter has it; `packet`: skb->data. */
static __always_inline void look_at_ip(void *packet, struct xgw_monitor_event *event, __u32 bytes)
{
	if (!bpf_probe_read_kernel(event->packet, bytes, packet))
		event->link = XGW_LINK_IP;
}

static __always_inline void look_at_nothing(void *packet, struct xgw_monitor_event *event, __u32 bytes)
{
	(void)packet;
	(void)event;
	(void)bytes;
}

#define TELL_WHO(tenant, peer) ((__u64)(tenant) << 32 | (peer))
#define TELL_WHAT(kind, reason, mark) ((__u64)(mark) << 32 | (kind) << 16 | (reason))

/* To everybody who listens. `bytes`: length of the packet. When nobody does any more, nobody is told from now on. */
static __always_inline void tell(look_at *look, void *packet, const struct xgw_flow_key *key, __u64 who, __u64 what,
				 __u32 bytes)
{
	__u64 now = bpf_ktime_get_ns(), nobody = 0;
	__u32 listeners = 0, anybody = XGW_MONITORS;

	for (__u32 slot = 0; slot < XGW_MONITORS; slot++) {
		__u32 index = slot, captured = bytes;
		__u64 *until = bpf_map_lookup_elem(&monitors, &index);
		struct xgw_monitor_event *event;
		void *ring;

		if (!until || *(volatile __u64 *)until < now)
			continue;
		listeners++;
		ring = bpf_map_lookup_elem(&monitor_rings, &index);
		if (!ring)
			continue;
		event = bpf_ringbuf_reserve(ring, sizeof(*event), 0);
		if (!event) {
			count_missed(index);
			continue;
		}
		event->event.time = now;
		event->event.key = *key;
		event->event.tenant = who >> 32;
		event->event.peer = (__be32)who;
		event->event.kind = what >> 16;
		event->event.reason = what;
		event->mark = what >> 32;
		event->length = bytes;
		event->ifindex = 0;
		event->link = XGW_LINK_NONE;
		event->pad = 0;
		if (captured > XGW_MONITOR_PACKET)
			captured = XGW_MONITOR_PACKET;
		event->captured = captured;
		if (captured)
			look(packet, event, captured);
		bpf_ringbuf_submit(event, 0);
	}
	if (!listeners)
		bpf_map_update_elem(&monitors, &anybody, &nobody, BPF_ANY);
}

/* Not static, so that the verifier looks at each once. */
__noinline __attribute__((unused)) int tell_of_flow(const struct xgw_flow_key *key, __u64 who, __u64 what)
{
	if (key)
		tell(look_at_nothing, NULL, key, who, what, 0);
	return 0;
}

__noinline __attribute__((unused)) int tell_of_frame(struct xdp_md *ctx, const struct xgw_flow_key *key, __u64 who,
						     __u64 what, __u32 bytes)
{
	if (key)
		tell(look_at_frame, ctx, key, who, what, bytes);
	return 0;
}

__noinline __attribute__((unused)) int tell_of_skb(struct __sk_buff *ctx, const struct xgw_flow_key *key, __u64 who,
						   __u64 what, __u32 bytes)
{
	if (key)
		tell(look_at_skb, ctx, key, who, what, bytes);
	return 0;
}

#endif
