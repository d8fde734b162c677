/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Births and deaths of flows, and drops, for those who listen: `xgw monitor`, each of which has a ring. Where nobody
 * does, a look at one word is all. A monitor says in each tenth of a second that it is there, as the number of that
 * round, which is also the clock by which drops are rationed: when the last monitor has died, the rations of its last
 * round are used up and no more is told.
 *
 * A full ring loses events, no packet; so does a tenant that has had its share of them in this second. What was dropped
 * and not told of, the counts by reason say.
 */
#ifndef XGW_EVENTS_H
#define XGW_EVENTS_H

#include "../maps.h"
#include "config.h"
#include "usage.h"

#define EVENT_SECOND_NS 1000000000ull

static __always_inline struct xgw_listeners *listeners_here(void)
{
	__u32 only = 0;

	return bpf_map_lookup_elem(&listeners, &only);
}

/* The round; 0: nobody listens. */
static __always_inline __u32 listening(void)
{
	const struct xgw_listeners *here = listeners_here();

	return here ? *(const volatile __u32 *)&here->round : 0;
}

/* Is there a place in the tenant's share of this second? Two CPUs at the turn of a second may find a few more.
 * (Netfilter programs have no coarse clock.) */
static __always_inline int event_admitted(struct xgw_event_usage *usage, __u32 share)
{
	__u64 now = bpf_ktime_get_ns() / EVENT_SECOND_NS, second = *(volatile __u64 *)&usage->second;

	if (!share)
		return 1;
	if (second != now && __sync_val_compare_and_swap(&usage->second, second, now) == second)
		*(volatile __u64 *)&usage->emitted = 0;
	return __sync_fetch_and_add(&usage->emitted, 1) < share;
}

/* How a packet's bytes are read. */
enum event_packet { NO_PACKET, XDP_FRAME, TC_PACKET, KERNEL_PACKET };

/* `packet`: xdp_md, __sk_buff, or what a kernel address leads to. */
static __always_inline long read_packet(enum event_packet how, void *packet, void *to, __u32 bytes)
{
	if (how == XDP_FRAME)
		return bpf_xdp_load_bytes(packet, 0, to, bytes);
	if (how == TC_PACKET)
		return bpf_skb_load_bytes(packet, 0, to, bytes);
	return bpf_probe_read_kernel(to, bytes, packet);
}

/* Into one ring. Negative: it is full. */
static __always_inline int put_event(void *ring, const struct xgw_event *event, enum event_packet how, void *packet)
{
	struct xgw_packet_event *record;
	struct xgw_event *head;
	__u32 bytes = event->captured;

	if (how == NO_PACKET) {
		head = bpf_ringbuf_reserve(ring, sizeof(*head), 0);
		if (!head)
			return -1;
		*head = *event;
		bpf_ringbuf_submit(head, 0);
		return 0;
	}
	record = bpf_ringbuf_reserve(ring, sizeof(*record), 0);
	if (!record)
		return -1;
	record->event = *event;
	asm volatile("" : "+r"(bytes)); /* lest the compiler forget the bound that the verifier is to see */
	if (!bytes || bytes > XGW_EVENT_BYTES || read_packet(how, packet, record->bytes, bytes))
		record->event.captured = 0;
	bpf_ringbuf_submit(record, 0);
	return 0;
}

/* To all who listen, if the tenant's share of this second has room. */
static __always_inline void publish(struct xgw_event *event, enum event_packet how, void *packet)
{
	__u32 tenant = event->tenant;
	struct xgw_event_usage *usage = bpf_map_lookup_elem(&event_usage, &tenant);
	int is_lost = 0;

	if (!usage)
		return;
	if (!event_admitted(usage, limit_of(tenant, events_per_second))) {
		count_loss(tenant, events_lost);
		return;
	}
	event->time = bpf_ktime_get_ns();
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < XGW_MONITORS; i++) {
		__u32 slot = i;
		void *ring = bpf_map_lookup_elem(&events, &slot);

		if (ring && put_event(ring, event, how, packet))
			is_lost = 1;
	}
	if (is_lost)
		count_loss(tenant, events_lost);
}

/* Not static, so that the verifier looks at it once. */
__noinline __attribute__((unused)) int tell_flow(const struct xgw_flow_key *key, __u32 tenant, __be32 peer, __u16 kind,
						 __u16 reason)
{
	struct xgw_event event = {.tenant = tenant, .peer = peer, .kind = kind, .reason = reason};

	if (!key)
		return 0;
	event.key = *key;
	publish(&event, NO_PACKET, NULL);
	return 0;
}

/* A birth, or a death. */
static __always_inline void emit(enum xgw_event_kind kind, enum xgw_reason reason, const struct xgw_flow_key *key,
				 __u32 tenant, __be32 peer)
{
	if (listening())
		tell_flow(key, tenant, peer, kind, reason);
}

/* One more of the slot's in this round? */
static __always_inline int ration(__u32 slot, __u32 round, __u32 most)
{
	struct xgw_told *of = bpf_map_lookup_elem(&told, &slot);

	if (!of)
		return 0;
	if (of->round != round) {
		of->round = round;
		of->drops = 0;
	}
	if (of->drops >= most)
		return 0;
	of->drops++;
	return 1;
}

/* Whether a drop is told of. A flood, which is one tenant's, is not looked at further. */
static __always_inline int is_told(__u32 tenant)
{
	struct xgw_listeners *here = listeners_here();
	__u32 round;

	if (!here)
		return 0;
	round = *(volatile __u32 *)&here->round;
	if (!round || here->closed == tenant + 1)
		return 0;
	if (ration(tenant, round, drops_told))
		return ration(XGW_MAX_TENANTS, round, drops_told_of_all);
	here->closed = tenant + 1;
	return 0;
}

/* What the kernel drops on this CPU next is what we have told it to, and counted (bpf/monitor.bpf.c). */
static __always_inline void remember_judged(void)
{
	__u32 all = XGW_MAX_TENANTS;
	struct xgw_told *of;

	if (!listening())
		return;
	of = bpf_map_lookup_elem(&told, &all);
	if (of)
		of->judged = bpf_ktime_get_ns();
}

#endif
