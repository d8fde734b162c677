// SPDX-License-Identifier: GPL-2.0
/*
 * Takes flows out of the table, so that the kernel decides their next packets anew: by the same function, under the
 * same locks, as XDP does when a connection has ended. Run by a test run, as migrate.bpf.c: the packet is the orders.
 */
#include "lib/close.h"

struct forget_orders {
	__u32 count; /* of the keys that follow */
	__u32 done;
	__u32 deleted;
};

struct forget_key {
	struct xgw_flow_key key;
	__u32 tenant;
};

static long forget_one(__u32 index, void *context)
{
	struct __sk_buff *skb = *(struct __sk_buff **)context;
	struct forget_orders orders;
	struct forget_key wanted;

	if (bpf_skb_load_bytes(skb, 0, &orders, sizeof(orders)) ||
	    bpf_skb_load_bytes(skb, sizeof(orders) + index * sizeof(wanted), &wanted, sizeof(wanted)))
		return 1;
	orders.done++;
	wanted.key.flags = 0;
	wanted.key.reach = 0;
	if (!flow_delete(&wanted.key)) {
		orders.deleted++;
		emit(XGW_EVENT_FLOW_DIED, XGW_REASON_GENERATION, &wanted.key, wanted.tenant, 0);
	}
	return bpf_skb_store_bytes(skb, 0, &orders, sizeof(orders), 0) != 0;
}

SEC("tc")
int xgw_forget(struct __sk_buff *skb)
{
	__u32 count;

	if (!bpf_skb_load_bytes(skb, 0, &count, sizeof(count)))
		bpf_loop(count, forget_one, &skb, 0);
	return 0;
}

char _license[] SEC("license") = "GPL";
