/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tenant's policy before the stack: what would begin a connection that the nft rules refuse ends here.
 * The rules stay the judge of everything; XDP may only be quicker to refuse, never stricter. So only the
 * plainest beginnings of a connection are refused here, and whatever the kernel would do anything else with
 * than ask the rules goes up: connections that it knows, packets for the gateway itself or without a route,
 * and all packets of a tenant that is being changed.
 */
#ifndef XGW_POLICY_H
#define XGW_POLICY_H

#include "close.h"
#include "ct.h"
#include "parse.h"
#include "quota.h"
#include "tenant.h"

/* A packet as the rules would see it. */
struct judgement {
	__u32 mark;
	__be32 destination; /* after DNAT */
};

#define SERVICE_BITS 24
#define service_word(protocol, port) bpf_htonl((__u32)(protocol) << 24 | (__u32)(port) << 8)

/* The mark that the rules would give to the connection. */
static __noinline void judge(const struct arrival *a, __u32 tenant, struct judgement *judgement)
{
	__u16 port = bpf_ntohs(a->key.dport);
	struct xgw_destination_key destination_key = {
	    .prefixlen = 64 + SERVICE_BITS,
	    .tenant = bpf_htonl(tenant),
	    .address = a->key.daddr,
	    .service = service_word(a->key.protocol, port),
	};
	struct xgw_network_key network_key = {.prefixlen = 64};
	struct xgw_service_key service_key = {.prefixlen = 64 + SERVICE_BITS};
	struct xgw_destination *to = bpf_map_lookup_elem(&destinations, &destination_key);
	struct xgw_page *page;
	__u32 *mark;

	judgement->destination = a->key.daddr;
	judgement->mark = XGW_CT_MARK_OUTBOUND;
	if (to && (to->address != a->key.daddr || (to->port && to->port != a->key.dport))) {
		judgement->destination = to->address;
		judgement->mark = 0;
		if (to->port)
			port = bpf_ntohs(to->port);
	}
	network_key.scope = bpf_htonl(tenant << 1 | !!judgement->mark);
	network_key.address = judgement->mark ? a->key.daddr : a->key.saddr;
	page = bpf_map_lookup_elem(&policy_networks, &network_key);
	if (!page)
		return;
	service_key.page = *page;
	service_key.service = service_word(a->key.protocol, port);
	mark = bpf_map_lookup_elem(&policy_services, &service_key);
	if (mark)
		judgement->mark = *mark;
}

/* Linux 6.3, after Debian 12's headers. */
#define FIB_SKIP_NEIGHBOUR (1U << 2)

/*
 * Would the kernel forward it? Not so: for the gateway itself, a broadcast, no route (which it tells), larger
 * than the way out (which it tells).
 */
static __noinline int would_be_forwarded(struct xdp_md *ctx, const struct arrival *a, __u32 vrf_ifindex,
					 __be32 destination)
{
	struct bpf_fib_lookup fib = {
	    .family = 2, /* AF_INET */
	    .l4_protocol = a->key.protocol,
	    .sport = a->key.sport,
	    .dport = a->key.dport,
	    .tot_len = a->length,
	    .ifindex = vrf_ifindex,
	    .ipv4_src = a->key.saddr,
	    .ipv4_dst = destination,
	};
	int result;

	if (bpf_ntohl(destination) >= 0xe0000000) /* multicast has routes of its own */
		return 0;
	result = bpf_fib_lookup(ctx, &fib, sizeof(fib), FIB_SKIP_NEIGHBOUR);
	return result == BPF_FIB_LKUP_RET_SUCCESS || result == BPF_FIB_LKUP_RET_UNSUPP_LWT;
}

enum beginning {
	NO_BEGINNING,
	PICKED_UP, /* from the middle of a TCP connection, which conntrack takes up; where it does not, it is reset */
	FIRST_PACKET
};

static __always_inline enum beginning beginning_of(struct xdp_md *ctx, const struct arrival *a)
{
	__u8 control = a->tcp_flags & (XGW_TCP_FIN | XGW_TCP_SYN | XGW_TCP_RST | XGW_TCP_ACK), ttl;

	if (a->key.protocol == IPPROTO_TCP && control != XGW_TCP_SYN && control != XGW_TCP_ACK)
		return NO_BEGINNING;
	if (bpf_xdp_load_bytes(ctx, a->inner + __builtin_offsetof(struct iphdr, ttl), &ttl, 1) || ttl <= 1)
		return NO_BEGINNING;
	return control == XGW_TCP_ACK ? PICKED_UP : FIRST_PACKET;
}

/* XGW_REASON_POLICY, with *mark of what refused it, XGW_REASON_QUOTA, or XGW_GO_ON for a packet that has no
 * flow. */
static __noinline __attribute__((unused)) enum xgw_reason judge_beginning(struct xdp_md *ctx, const struct arrival *a,
									  const struct xgw_tenant *tenant, __u32 *mark)
{
	__u32 id = tenant->id, generation = generation_of(id), has_policy = tenant->flags & XGW_TENANT_POLICY;
	struct judgement judgement = {.mark = 1, .destination = a->key.daddr};
	enum beginning beginning;
	int denied;

	if (generation & 1)
		return XGW_GO_ON;
	beginning = beginning_of(ctx, a);
	if (beginning == NO_BEGINNING)
		return XGW_GO_ON;
	if (has_policy)
		judge(a, id, &judgement);
	*mark = judgement.mark;
	denied = judgement.mark & XGW_CT_MARK_DENIED || !(judgement.mark & XGW_CT_MARK_RULE);
	/* What costs little is asked first: most beginnings are admitted. */
	if ((denied ? beginning == PICKED_UP : quota_admits(id)) || ct_may_know(ctx, &a->key, tenant->zone) ||
	    !would_be_forwarded(ctx, a, tenant->vrf_ifindex, judgement.destination) ||
	    generation_of(id) != generation) /* lest the maps have changed meanwhile */
		return XGW_GO_ON;
	return denied ? XGW_REASON_POLICY : XGW_REASON_QUOTA;
}

static __always_inline void count_denial(__u32 tenant, __u32 mark, __u32 bytes)
{
	struct xgw_denial_key key = {.tenant = tenant, .mark = mark};
	struct xgw_counter *counter = bpf_map_lookup_elem(&denials, &key);

	if (!counter) {
		struct xgw_counter none = {};

		bpf_map_update_elem(&denials, &key, &none, BPF_NOEXIST);
		counter = bpf_map_lookup_elem(&denials, &key);
		if (!counter)
			return;
	}
	counter->packets++;
	counter->bytes += bytes;
}

#endif
