// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel drops of tenants' packets, by the tracepoint that it tells of each with a reason. Loaded by each
 * monitor for itself, with the monitor's own ring, and gone with it. What programs of ours drop, or have the kernel
 * drop, they tell of themselves.
 */
#include "lib/drop_skb.h"
#include "lib/parse.h"
#include "lib/tenant.h"
#include <bpf/bpf_tracing.h>

/* The network namespace that the gateway is in: inode number of its file in /proc. */
const volatile __u32 netns_inode;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, XGW_MONITOR_BYTES);
} ring SEC(".maps");

/* Drops are rationed by the tenant's id, modulo this. */
#define RATIONS 256
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, RATIONS);
	__type(key, __u32);
	__type(value, struct xgw_told);
} rations SEC(".maps");

/* Drops that were not told of. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} left_out SEC(".maps");

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sk_buff___dropped {
	struct net_device *dev;
	__be16 protocol;
	__u16 mac_header;
};

#pragma clang attribute pop

/* The loader finds the numbers of the running kernel. */
enum skb_drop_reason {
	SKB_DROP_REASON_NETFILTER_DROP,
	SKB_DROP_REASON_TC_INGRESS,
	SKB_DROP_REASON_TC_EGRESS,
	SKB_DROP_REASON_XDP,
};

#define is_reason(reason, name) ((reason) == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_##name))

/* A program of ours has told the kernel to, a moment ago on this CPU. */
#define JUDGED_NS 100000ull

static __always_inline int is_own(__u32 reason)
{
	__u32 all = XGW_MAX_TENANTS;
	struct xgw_told *of;

	if (is_reason(reason, XDP))
		return 1;
	if (!is_reason(reason, NETFILTER_DROP) && !is_reason(reason, TC_INGRESS) && !is_reason(reason, TC_EGRESS))
		return 0;
	of = bpf_map_lookup_elem(&told, &all);
	if (!of || bpf_ktime_get_ns() - of->judged > JUDGED_NS)
		return 0;
	of->judged = 0;
	return 1;
}

/* Addresses, protocol and ports of an IPv4 packet; a negative number: it is none. */
static __always_inline int read_tuple(const void *at, struct xgw_flow_key *key)
{
	struct iphdr ip = {};

	if (bpf_probe_read_kernel(&ip, sizeof(ip), at) || ip.version != 4 || ip.ihl < 5)
		return -1;
	key->saddr = ip.saddr;
	key->daddr = ip.daddr;
	key->protocol = ip.protocol;
	if ((ip.protocol == IPPROTO_TCP || ip.protocol == IPPROTO_UDP) && !(ip.frag_off & bpf_htons(0x1fff)))
		bpf_probe_read_kernel(&key->sport, 4, at + ip.ihl * 4);
	return ip.ihl * 4;
}

/* A tunnelled packet as it is on the underlay: its tenant, with the inner tuple in the key. 0: it has no key of ours.
 */
static __always_inline __u32 open_tunnel(const void *gre_at, struct xgw_event *event)
{
	const struct xgw_tenant *tenant;
	struct gre_header gre = {};

	if (bpf_probe_read_kernel(&gre, sizeof(gre), gre_at) || gre.flags != GRE_KEY_ONLY)
		return 0;
	tenant = tenant_by_key(bpf_ntohl(gre.key));
	if (!tenant)
		return 0;
	event->peer = event->key.saddr;
	event->key.realm = bpf_ntohl(gre.key);
	event->key.wrap = gre.protocol == bpf_htons(ETH_P_IP) ? XGW_WRAP_GRE : XGW_WRAP_GRETAP;
	event->key.sport = event->key.dport = 0;
	read_tuple(gre_at + sizeof(gre) + (event->key.wrap == XGW_WRAP_GRETAP ? ETH_HLEN : 0), &event->key);
	return tenant->id;
}

static __always_inline __u32 tenant_of_address(__be32 address)
{
	const struct xgw_public_ip *public = public_ip(address);

	return public ? public->tenant : 0;
}

/* By the device, by conntrack's zone, by the GRE key, by the public address. */
static __always_inline __u32 whose(const struct sk_buff *skb, __u32 device, const struct nf_conn *ct, const void *ip,
				   struct xgw_event *event)
{
	__u32 tenant = tenant_of_device(device), zone;
	int header = read_tuple(ip, &event->key);

	if (!tenant)
		tenant = tenant_of_device(BPF_CORE_READ(skb, skb_iif));
	if (tenant || header < 0)
		return tenant;
	if (event->key.protocol == IPPROTO_GRE) {
		tenant = open_tunnel(ip + header, event);
		if (tenant)
			return tenant;
	}
	zone = ct ? BPF_CORE_READ(ct, zone.id) : 0;
	if (zone)
		return zone;
	tenant = tenant_of_address(event->key.daddr);
	return tenant ? tenant : tenant_of_address(event->key.saddr);
}

static __always_inline int is_rationed(__u32 tenant)
{
	__u32 slot = tenant % RATIONS, round = listening(), only = 0;
	struct xgw_told *of = bpf_map_lookup_elem(&rations, &slot);
	__u64 *more;

	if (!of || !round)
		return 1;
	if (of->round != round) {
		of->round = round;
		of->drops = 0;
	}
	if (of->drops++ < drops_told)
		return 0;
	more = bpf_map_lookup_elem(&left_out, &only);
	if (more)
		++*more;
	return 1;
}

/* What is read begins with the IP header, or the Ethernet header of what is no IPv4. */
static __always_inline const void *begin(const struct sk_buff *skb, struct xgw_event *event)
{
	const struct sk_buff___dropped *dropped = (const void *)skb;
	__u32 start = BPF_CORE_READ(dropped, mac_header), tail = BPF_CORE_READ(skb, tail);
	const void *at;

	if (BPF_CORE_READ(dropped, protocol) == bpf_htons(ETH_P_IP) || start == 0xffff) {
		event->link = XGW_LINK_IP;
		event->captured = captured_of(ip_bytes_of(skb, &at));
		return at;
	}
	event->link = XGW_LINK_ETHERNET;
	event->captured = captured_of(tail > start ? tail - start : 0);
	return BPF_CORE_READ(skb, head) + start;
}

#pragma clang diagnostic ignored "-Wunused-parameter" /* BPF_PROG's context */

SEC("raw_tp/kfree_skb")
int BPF_PROG(xgw_kernel_drop, const struct sk_buff *skb, const void *location, __u32 reason)
{
	const struct net_device *device = BPF_CORE_READ((const struct sk_buff___dropped *)skb, dev);
	struct xgw_event event = {.kind = XGW_EVENT_KERNEL_DROP, .reason = reason, .location = (__u64)location};
	const struct nf_conn *ct = (const void *)(BPF_CORE_READ(skb, _nfct) & ~NFCT_BITS);
	const void *ip, *at;
	__u32 inode;

	inode = device ? BPF_CORE_READ(device, nd_net.net, ns.inum) : ct ? BPF_CORE_READ(ct, ct_net.net, ns.inum) : 0;
	if (inode != netns_inode || is_own(reason))
		return 0;
	event.ifindex = device ? BPF_CORE_READ(device, ifindex) : 0;
	ip_bytes_of(skb, &ip);
	event.tenant = whose(skb, event.ifindex, ct, ip, &event);
	if (!event.tenant || event.tenant >= XGW_MAX_TENANTS || is_rationed(event.tenant))
		return 0;
	if (ct)
		event.mark = BPF_CORE_READ(ct, mark);
	event.length = BPF_CORE_READ(skb, len);
	event.time = bpf_ktime_get_ns();
	if (event.ifindex && event.ifindex == (__u32)BPF_CORE_READ(skb, skb_iif))
		event.flags = XGW_EVENT_ARRIVING;
	at = begin(skb, &event);
	if (put_event(&ring, &event, KERNEL_PACKET, (void *)at)) {
		__u32 only = 0;
		__u64 *more = bpf_map_lookup_elem(&left_out, &only);

		if (more)
			++*more;
	}
	return 0;
}

char _license[] SEC("license") = "GPL";
