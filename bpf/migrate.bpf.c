// SPDX-License-Identifier: GPL-2.0
/*
 * Puts flows and header templates that another table has into this one, by the same functions as the learner, while
 * others use it. Run by test runs: the packet is the orders, with one flow or template a run, and stays from one repeat
 * to the next. Of type tc, for a repeated test run of XDP programs waits for all CPUs each time.
 */
#include "lib/encap.h"
#include "lib/flow_insert.h"
#include "lib/tenant.h"

enum { MOVE_DONE, MOVE_FAILED };

struct orders {
	__u32 next;  /* which of the records that follow is for this run */
	__u32 added; /* and what became of those before it */
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

SEC("tc")
int xgw_move_flows(struct __sk_buff *skb)
{
	struct orders orders;
	struct xgw_flow flow;
	int result;

	if (bpf_skb_load_bytes(skb, 0, &orders, sizeof(orders)) ||
	    bpf_skb_load_bytes(skb, sizeof(orders) + orders.next * sizeof(flow), &flow, sizeof(flow)))
		return MOVE_FAILED;
	orders.next++;
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
	return bpf_skb_store_bytes(skb, 0, &orders, sizeof(orders), 0) ? MOVE_FAILED : MOVE_DONE;
}

/* Leaves the template's new id, or a negative number, in place of its first word. */
SEC("tc")
int xgw_move_encaps(struct __sk_buff *skb)
{
	struct orders orders;
	struct xgw_encap encap;
	__u32 at;
	int id;

	if (bpf_skb_load_bytes(skb, 0, &orders, sizeof(orders)))
		return MOVE_FAILED;
	at = sizeof(orders) + orders.next * sizeof(encap);
	if (bpf_skb_load_bytes(skb, at, &encap, sizeof(encap)))
		return MOVE_FAILED;
	id = encap_intern(&encap);
	if (id < 0)
		orders.refused++;
	else
		orders.added++;
	orders.next++;
	if (bpf_skb_store_bytes(skb, at, &id, sizeof(id), 0) || bpf_skb_store_bytes(skb, 0, &orders, sizeof(orders), 0))
		return MOVE_FAILED;
	return MOVE_DONE;
}

char _license[] SEC("license") = "GPL";
