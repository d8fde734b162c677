// SPDX-License-Identifier: GPL-2.0
/*
 * Takes flows out of the table, so that the kernel decides their next packets anew: by the same function, under the
 * same locks, as XDP does when a connection has ended. Run by test runs, as migrate.bpf.c: the packet is the orders,
 * with one key a run.
 */
#include "lib/close.h"

enum { FORGET_DONE, FORGET_FAILED };

struct forget_orders {
	__u32 next; /* which of the keys that follow is for this run */
	__u32 deleted;
};

struct forget_key {
	struct xgw_flow_key key;
	__u32 tenant;
};

SEC("tc")
int xgw_forget(struct __sk_buff *skb)
{
	struct forget_orders orders;
	struct forget_key wanted;

	if (bpf_skb_load_bytes(skb, 0, &orders, sizeof(orders)) ||
	    bpf_skb_load_bytes(skb, sizeof(orders) + orders.next * sizeof(wanted), &wanted, sizeof(wanted)))
		return FORGET_FAILED;
	orders.next++;
	wanted.key.flags = 0;
	wanted.key.reach = 0;
	if (!flow_delete(&wanted.key)) {
		orders.deleted++;
		emit(XGW_EVENT_FLOW_DIED, XGW_REASON_GENERATION, &wanted.key, wanted.tenant, 0);
	}
	return bpf_skb_store_bytes(skb, 0, &orders, sizeof(orders), 0) ? FORGET_FAILED : FORGET_DONE;
}

char _license[] SEC("license") = "GPL";
