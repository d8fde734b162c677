// SPDX-License-Identifier: GPL-2.0
/*
 * Puts flows and header templates that another table has into this one, by the same functions as the learner, while
 * others use it. Run by a test run: the packet is the orders, all of them for one run, since repeats of a run end when
 * something for the process comes between two (EINTR, and what came of those before is lost).
 */
#include "lib/encap.h"
#include "lib/flow_insert.h"
#include "lib/tenant.h"

struct orders {
	__u32 count; /* of the records that follow */
	__u32 done;  /* of them, and what became of these */
	__u32 added;
	__u32 known;
	__u32 stale; /* their tenant has changed: they would not be followed */
	__u32 refused;
	__u32 evicted; /* others that had to go */
};

enum { ADDED, ADDED_FOR_ANOTHER, KNOWN };

/* The flow's first packet asks conntrack: the connection may have ended in the other table since this was read there.
 */
static __noinline int add(struct xgw_flow *flow)
{
	struct xgw_flow_key key = flow->key;
	struct xgw_flow known;

	key.flags = 0;
	key.reach = 0;
	flow_doubt(flow);
	if (flow_lookup(&key, &known))
		return KNOWN;
	return flow_insert(&key, flow);
}

static long move_flow(__u32 index, void *context)
{
	struct __sk_buff *skb = *(struct __sk_buff **)context;
	struct orders orders;
	struct xgw_flow flow;
	int result;

	if (bpf_skb_load_bytes(skb, 0, &orders, sizeof(orders)) ||
	    bpf_skb_load_bytes(skb, sizeof(orders) + index * sizeof(flow), &flow, sizeof(flow)))
		return 1;
	orders.done++;
	if (flow.generation != generation_of(flow.tenant)) {
		orders.stale++;
	} else {
		result = add(&flow);
		if (result < 0)
			orders.refused++;
		else if (result == KNOWN)
			orders.known++;
		else
			orders.added++;
		if (result == ADDED_FOR_ANOTHER)
			orders.evicted++;
	}
	return bpf_skb_store_bytes(skb, 0, &orders, sizeof(orders), 0) != 0;
}

/* Leaves the template's new id, or a negative number, in place of its first word. */
static long move_encap(__u32 index, void *context)
{
	struct __sk_buff *skb = *(struct __sk_buff **)context;
	__u32 at = sizeof(struct orders) + index * sizeof(struct xgw_encap);
	struct orders orders;
	struct xgw_encap encap;
	int id;

	if (bpf_skb_load_bytes(skb, 0, &orders, sizeof(orders)) || bpf_skb_load_bytes(skb, at, &encap, sizeof(encap)))
		return 1;
	id = encap_intern(&encap);
	if (id < 0)
		orders.refused++;
	else
		orders.added++;
	orders.done++;
	return bpf_skb_store_bytes(skb, at, &id, sizeof(id), 0) ||
	       bpf_skb_store_bytes(skb, 0, &orders, sizeof(orders), 0);
}

SEC("tc")
int xgw_move_flows(struct __sk_buff *skb)
{
	__u32 count;

	if (!bpf_skb_load_bytes(skb, 0, &count, sizeof(count)))
		bpf_loop(count, move_flow, &skb, 0);
	return 0;
}

SEC("tc")
int xgw_move_encaps(struct __sk_buff *skb)
{
	__u32 count;

	if (!bpf_skb_load_bytes(skb, 0, &count, sizeof(count)))
		bpf_loop(count, move_encap, &skb, 0);
	return 0;
}

char _license[] SEC("license") = "GPL";
