// SPDX-License-Identifier: GPL-2.0
/*
 * Works on the flow table as its users do, for tests that run it on several CPUs at once. The packet is the
 * caller's orders and results, and stays from one repeat to the next. What is in a flow follows from its
 * number and version, so that a line of two halves is seen.
 */
#include "../lib/flow_insert.h"

enum order { ORDER_INSERT, ORDER_DELETE, ORDER_LOOKUP, ORDER_CHURN };

struct orders {
	__u64 random;
	__u32 order;
	__u32 first; /* flow */
	__u32 flows;
	__u32 next; /* flow, counted from the first */
	__u32 version;
	__u16 tenant;
	__u16 pad;
	__u32 age; /* jiffies since conntrack was asked */
	__u32 inserted;
	__u32 refused;
	__u32 deleted;
	__u32 found;
	__u32 missed;
	__u32 torn;
};

static __always_inline __u32 mix(__u32 number, __u32 version, __u32 field)
{
	__u32 hash = number * 2654435761u ^ version * 2246822519u ^ field * 3266489917u;

	hash ^= hash >> 15;
	return hash * 668265263u;
}

static __always_inline void make_key(struct xgw_flow_key *key, __u32 number)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->saddr = number;
	key->daddr = mix(number, 0, 1);
	key->sport = mix(number, 0, 2);
	key->realm = 1000;
	key->protocol = 6;
}

static __always_inline void make_flow(struct xgw_flow *flow, __u32 number, __u32 version)
{
	__builtin_memset(flow, 0, sizeof(*flow));
	flow->peer = version;
	flow->saddr = mix(number, version, 3);
	flow->daddr = mix(number, version, 4);
	flow->sport = mix(number, version, 5);
	flow->dport = mix(number, version, 6);
	flow->ip_delta = mix(number, version, 7);
	flow->encap = mix(number, version, 8);
	flow->rule = mix(number, version, 9);
	flow->key.flags = mix(number, version, 10) & 0x7f;
}

static __always_inline int is_torn(const struct xgw_flow *flow, __u32 number)
{
	struct xgw_flow whole;

	make_flow(&whole, number, flow->peer);
	return flow->saddr != whole.saddr || flow->daddr != whole.daddr || flow->sport != whole.sport ||
	       flow->dport != whole.dport || flow->ip_delta != whole.ip_delta || flow->encap != whole.encap ||
	       flow->rule != whole.rule || flow->key.flags != whole.key.flags;
}

static __noinline void insert(struct orders *orders, __u32 number, __u32 version)
{
	struct xgw_flow_key key;
	struct xgw_flow flow;

	if (!orders)
		return;
	make_key(&key, number);
	make_flow(&flow, number, version);
	flow.tenant = orders->tenant;
	flow.generation = generation_of(orders->tenant);
	flow.checked = bpf_jiffies64() - orders->age;
	if (flow_insert(&key, &flow) < 0)
		orders->refused++;
	else
		orders->inserted++;
}

static __noinline void look_up(struct orders *orders, __u32 number)
{
	struct xgw_flow_key key;
	struct xgw_flow flow;

	if (!orders)
		return;
	make_key(&key, number);
	if (!flow_lookup(&key, &flow))
		orders->missed++;
	else if (is_torn(&flow, number))
		orders->torn++;
	else
		orders->found++;
}

static __noinline void delete(struct orders *orders, __u32 number)
{
	struct xgw_flow_key key;

	if (!orders)
		return;
	make_key(&key, number);
	if (flow_delete(&key))
		orders->missed++;
	else
		orders->deleted++;
}

SEC("xdp")
int flow_table(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct orders *packet = data, orders;
	__u32 number, order;

	if ((void *)(packet + 1) > end)
		return XDP_ABORTED;
	orders = *packet;
	order = orders.order;
	number = orders.first + orders.next;
	if (order == ORDER_CHURN) {
		orders.random = orders.random * 6364136223846793005ull + 1442695040888963407ull;
		number = orders.first + (orders.random >> 40) % orders.flows;
		orders.version = orders.random >> 33;
		switch ((orders.random >> 36) & 7) {
		case 0:
			order = ORDER_DELETE;
			break;
		case 1 ... 3:
			order = ORDER_INSERT;
			break;
		default:
			order = ORDER_LOOKUP;
		}
	}
	if (++orders.next >= orders.flows)
		orders.next = 0;
	if (order == ORDER_INSERT)
		insert(&orders, number, orders.version);
	else if (order == ORDER_DELETE)
		delete (&orders, number);
	else
		look_up(&orders, number);
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	packet = data;
	if ((void *)(packet + 1) > end)
		return XDP_ABORTED;
	*packet = orders;
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
