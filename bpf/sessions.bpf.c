// SPDX-License-Identifier: GPL-2.0
/*
 * Counts the live connections of each tenant where conntrack itself makes and ends them, and what it refuses: in
 * __nf_conntrack_hash_insert, through which every connection comes into the table once (of packets and of
 * user space alike), and in nf_ct_destroy, which ends every one. Functions of net/netfilter/nf_conntrack_core.c.
 */
#include "lib/ct.h"
#include "lib/config.h"
#include "lib/skb.h"
#include "lib/verdict.h"
#include "maps.h"
#include <bpf/bpf_tracing.h>

/* The network namespace that the gateway is in: inode number of its file in /proc. */
const volatile __u32 netns_inode;

/* By reads that need no typed pointer: nf_ct_destroy has one to the connection's first member. */
static __always_inline void count_session(struct nf_conn *ct, __s64 change)
{
	__u32 zone = BPF_CORE_READ(ct, zone.id), nobody = 0;
	__s64 *sessions, *all;

	if (!zone || BPF_CORE_READ(ct, ct_net.net, ns.inum) != netns_inode)
		return;
	sessions = bpf_map_lookup_elem(&session_events, &zone);
	all = bpf_map_lookup_elem(&session_events, &nobody);
	if (!sessions || !all)
		return;
	__sync_fetch_and_add(sessions, change);
	__sync_fetch_and_add(all, change);
}

#pragma clang diagnostic ignored "-Wunused-parameter" /* BPF_PROG's context */

SEC("fentry/__nf_conntrack_hash_insert")
int BPF_PROG(xgw_session_born, struct nf_conn *ct)
{
	count_session(ct, 1);
	return 0;
}

/*
 * A connection that lost a race for its tuple was never in the table, or only by half (CT_NAT_CLASH). A template, by
 * which nft says a packet's zone, is none.
 */
SEC("fentry/nf_ct_destroy")
int BPF_PROG(xgw_session_died, struct nf_conn *ct)
{
	if ((BPF_CORE_READ(ct, status) & (CT_CONFIRMED | CT_NAT_CLASH | CT_TEMPLATE)) == CT_CONFIRMED)
		count_session(ct, -1);
	return 0;
}

/*
 * A packet that has been translated and whose connection is not taken up in spite of that: no port of the public
 * address was left for its destination, or not found in the kernel's attempts, and the kernel drops it.
 */
SEC("fexit/__nf_conntrack_confirm")
int BPF_PROG(xgw_session_refused, struct sk_buff *skb, unsigned int verdict)
{
	struct xgw_flow_key key = {};
	struct nf_conn *ct;
	__u32 zone;

	if (verdict != NF_DROP)
		return 0;
	ct = conntrack_of(skb);
	zone = BPF_CORE_READ(ct, zone.id);
	if (!zone || BPF_CORE_READ(ct, ct_net.net, ns.inum) != netns_inode ||
	    (BPF_CORE_READ(ct, status) & (CT_SRC_NAT | CT_DYING)) != CT_SRC_NAT)
		return 0;
	read_original(ct, &key);
	drop(zone, XGW_REASON_NO_PORT, skb->len, &key, 0);
	return 0;
}

char _license[] SEC("license") = "GPL";
