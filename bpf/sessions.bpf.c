// SPDX-License-Identifier: GPL-2.0
/*
 * Counts the live connections of each tenant where conntrack itself makes and ends them, and what it refuses: in
 * __nf_conntrack_hash_insert, through which every connection comes into the table once (of packets and of
 * user space alike), and in nf_ct_destroy, which ends every one. Functions of net/netfilter/nf_conntrack_core.c.
 *
 * The flows of one that has ended ask at once whether they still have a connection.
 */
#include "lib/ct.h"
#include "lib/config.h"
#include "lib/drop_skb.h"
#include "lib/flow_table.h"
#include "lib/skb.h"
#include "maps.h"
#include <bpf/bpf_tracing.h>

/* The network namespace that the gateway is in: inode number of its file in /proc. */
const volatile __u32 netns_inode;

/* By reads that need no typed pointer, as all here: nf_ct_destroy has one to the connection's first member. */
static __always_inline int is_ours(const struct nf_conn *ct)
{
	return BPF_CORE_READ(ct, zone.id) && BPF_CORE_READ(ct, ct_net.net, ns.inum) == netns_inode;
}

static __always_inline void count_session(const struct nf_conn *ct, __s64 change)
{
	__u32 zone = BPF_CORE_READ(ct, zone.id), nobody = 0;
	__s64 *sessions = bpf_map_lookup_elem(&session_events, &zone);
	__s64 *all = bpf_map_lookup_elem(&session_events, &nobody);

	if (!sessions || !all)
		return;
	__sync_fetch_and_add(sessions, change);
	__sync_fetch_and_add(all, change);
}

static __always_inline void doubt(const struct xgw_tuple *tuple, __u32 realm, __u8 wrap)
{
	struct xgw_flow_key key;
	struct xgw_flow flow, *place;

	flow_key_of(tuple, realm, wrap, &key);
	place = flow_lookup(&key, &flow);
	if (place)
		flow_doubt(place);
}

/* Of a connection that had flows there is a record, which goes with it. */
static __always_inline void end_record(const struct nf_conn *ct)
{
	struct xgw_connection_key key = {.zone = BPF_CORE_READ(ct, zone.id)};
	struct xgw_connection *connection;

	ct_read_original(ct, &key.original);
	connection = bpf_map_lookup_elem(&conntrack, &key);
	if (!connection)
		return;
	doubt(&key.original, connection->original_realm, connection->original_wrap);
	doubt(&connection->reply, connection->reply_realm, connection->reply_wrap);
	bpf_map_delete_elem(&conntrack, &key);
}

#pragma clang diagnostic ignored "-Wunused-parameter" /* BPF_PROG's context */

SEC("fentry/__nf_conntrack_hash_insert")
int BPF_PROG(xgw_session_born, struct nf_conn *ct)
{
	if (is_ours(ct))
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
	unsigned long status = BPF_CORE_READ(ct, status);

	if (!is_ours(ct))
		return 0;
	if ((status & (CT_CONFIRMED | CT_NAT_CLASH | CT_TEMPLATE)) == CT_CONFIRMED)
		count_session(ct, -1);
	if (status & CT_SEEN_REPLY)
		end_record(ct);
	return 0;
}

/*
 * A packet that has been translated and whose connection is not taken up in spite of that: no port of the public
 * address was left for its destination, or not found in the kernel's attempts, and the kernel drops it.
 */
SEC("fexit/__nf_conntrack_confirm")
int BPF_PROG(xgw_session_refused, struct sk_buff *skb, unsigned int verdict)
{
	struct xgw_tuple tuple;
	struct xgw_flow_key key;
	struct nf_conn *ct;
	__u32 zone, device;

	if (verdict != NF_DROP)
		return 0;
	device = skb->skb_iif; /* of a tenant's packet its VRF */
	if (!bpf_map_lookup_elem(&tunnels, &device))
		return 0; /* another instance's tenant may have a zone with any number that is free here */
	ct = conntrack_of(skb);
	zone = BPF_CORE_READ(ct, zone.id);
	if (!zone || BPF_CORE_READ(ct, ct_net.net, ns.inum) != netns_inode ||
	    (BPF_CORE_READ(ct, status) & (CT_SRC_NAT | CT_DYING)) != CT_SRC_NAT)
		return 0;
	ct_read_original(ct, &tuple);
	flow_key_of(&tuple, 0, 0, &key);
	drop(skb, &key, zone, XGW_REASON_NO_PORT);
	return 0;
}

char _license[] SEC("license") = "GPL";
