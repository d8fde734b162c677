/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's conntrack, asked through its kfuncs (net/netfilter/nf_conntrack_bpf.c). The 16-byte options
 * with a zone need Linux 6.11.
 */
#ifndef XGW_CT_H
#define XGW_CT_H

#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "../shared.h"
#include "config.h"
#include "settings.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* The parts of the kernel's types that are read; the loader finds their offsets in the running kernel's BTF.
 */
union nf_inet_addr {
	__be32 ip;
};

struct nf_conntrack_man {
	union nf_inet_addr u3;
	union {
		__be16 all;
	} u;
};

struct nf_conntrack_tuple {
	struct nf_conntrack_man src;
	struct {
		union nf_inet_addr u3;
		union {
			__be16 all;
		} u;
		__u8 protonum;
		__u8 dir;
	} dst;
};

struct nf_conntrack_tuple_hash {
	struct nf_conntrack_tuple tuple;
};

struct ip_ct_tcp {
	__u8 state;
};

struct nf_ct_udp {
	unsigned long stream_ts; /* jiffies */
};

union nf_conntrack_proto {
	struct ip_ct_tcp tcp;
	struct nf_ct_udp udp;
};

struct nf_ct_ext {
	__u8 offset[4];
};

struct nf_conntrack_zone {
	__u16 id;
};

struct ns_common {
	unsigned int inum;
};

struct netns_ipv4 {
	struct fqdir *fqdir;
};

struct net {
	struct ns_common ns;
	struct netns_ipv4 ipv4;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct nf_conn {
	struct nf_conntrack_zone zone;
	struct nf_conntrack_tuple_hash tuplehash[2];
	unsigned long status;
	possible_net_t ct_net;
	__u32 mark;
	struct nf_ct_ext *ext;
	union nf_conntrack_proto proto;
};

#pragma clang attribute pop

struct bpf_ct_opts___xgw {
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir; /* out: the direction of the tuple that was found */
	__u16 ct_zone_id;
	__u8 ct_zone_dir;
	__u8 reserved[3];
};

extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, __u32 tuple_size,
					 struct bpf_ct_opts___xgw *opts, __u32 opts_size) __ksym;
extern struct nf_conn *bpf_xdp_ct_lookup(struct xdp_md *ctx, struct bpf_sock_tuple *tuple, __u32 tuple_size,
					 struct bpf_ct_opts___xgw *opts, __u32 opts_size) __ksym;
extern int bpf_ct_change_timeout(struct nf_conn *ct, __u32 timeout_ms) __ksym;
extern int bpf_ct_change_status(struct nf_conn *ct, __u32 status) __ksym;
extern void bpf_ct_release(struct nf_conn *ct) __ksym;

/* include/uapi/linux/netfilter/nf_conntrack_common.h and nf_conntrack_tcp.h: part of the kernel's ABI. */
#define CT_SEEN_REPLY (1 << 1)
#define CT_ASSURED (1 << 2)
#define CT_CONFIRMED (1 << 3)
#define CT_SRC_NAT (1 << 4)
#define CT_DST_NAT (1 << 5)
#define CT_SEQ_ADJUST (1 << 6)
#define CT_DYING (1 << 9)
#define CT_TEMPLATE (1 << 11)
#define CT_NAT_CLASH (1 << 12)
#define CT_HELPER (1 << 13)
#define CT_TCP_ESTABLISHED 3
#define CT_EXT_HELPER 0
#define CT_BOTH_DIRECTIONS 3 /* NF_CT_DEFAULT_ZONE_DIR */

static __always_inline void ct_options(struct bpf_ct_opts___xgw *opts, __u8 protocol, __u16 zone)
{
	__builtin_memset(opts, 0, sizeof(*opts));
	opts->netns_id = BPF_F_CURRENT_NETNS;
	opts->l4proto = protocol;
	opts->ct_zone_id = zone;
	opts->ct_zone_dir = CT_BOTH_DIRECTIONS;
}

/* Alive, and (as the kernel's own flow offload has it) past its handshake. */
static __always_inline int ct_is_established(const struct nf_conn *ct, __u8 protocol)
{
	unsigned long status = ct->status;

	if (!(status & CT_SEEN_REPLY) || status & CT_DYING)
		return 0;
	return protocol != IPPROTO_TCP || ct->proto.tcp.state == CT_TCP_ESTABLISHED;
}

/* Does the kernel change more in this connection's packets than addresses and ports? */
static __always_inline int ct_is_unusual(const struct nf_conn *ct)
{
	struct nf_ct_ext *ext = ct->ext;

	if (ct->status & (CT_SEQ_ADJUST | CT_NAT_CLASH | CT_HELPER))
		return 1;
	return ext && ext->offset[CT_EXT_HELPER];
}

static __always_inline void ct_tuple(const struct nf_conn *ct, int direction, struct xgw_tuple *tuple)
{
	const struct nf_conntrack_tuple *from = direction ? &ct->tuplehash[1].tuple : &ct->tuplehash[0].tuple;

	__builtin_memset(tuple, 0, sizeof(*tuple));
	tuple->saddr = from->src.u3.ip;
	tuple->daddr = from->dst.u3.ip;
	tuple->sport = from->src.u.all;
	tuple->dport = from->dst.u.all;
	tuple->protocol = from->dst.protonum;
}

/* The original direction's, by reads that need no typed pointer. */
static __always_inline void ct_read_original(const struct nf_conn *ct, struct xgw_tuple *tuple)
{
	__builtin_memset(tuple, 0, sizeof(*tuple));
	tuple->saddr = BPF_CORE_READ(ct, tuplehash[0].tuple.src.u3.ip);
	tuple->daddr = BPF_CORE_READ(ct, tuplehash[0].tuple.dst.u3.ip);
	tuple->sport = BPF_CORE_READ(ct, tuplehash[0].tuple.src.u.all);
	tuple->dport = BPF_CORE_READ(ct, tuplehash[0].tuple.dst.u.all);
	tuple->protocol = BPF_CORE_READ(ct, tuplehash[0].tuple.dst.protonum);
}

#define CT_ENOENT (-2)

/* From XDP: may conntrack know the packet's connection, in either direction? Also said when it cannot tell. */
static __noinline __attribute__((unused)) int ct_may_know(struct xdp_md *ctx, const struct xgw_flow_key *key,
							  __u16 zone)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_ct_opts___xgw opts;
	struct nf_conn *ct;

	tuple.ipv4.saddr = key->saddr;
	tuple.ipv4.daddr = key->daddr;
	tuple.ipv4.sport = key->sport;
	tuple.ipv4.dport = key->dport;
	ct_options(&opts, key->protocol, zone);
	ct = bpf_xdp_ct_lookup(ctx, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (!ct)
		return opts.error != CT_ENOENT;
	bpf_ct_release(ct);
	return 1;
}

/* Is an entry that was found by the tuple with which the flow's packets arrive the flow's own connection? Its other
 * tuple says so: what the flow sends, turned round. The entry of another connection may have the same tuple by now. */
static __always_inline int ct_is_flow(const struct nf_conn *ct, __u8 direction, const struct xgw_flow *flow)
{
	struct xgw_tuple other;

	ct_tuple(ct, !direction, &other);
	return !direction == !(flow->key.flags & XGW_FLOW_REPLY) && other.saddr == flow->daddr &&
	       other.daddr == flow->saddr && other.sport == flow->dport && other.dport == flow->sport;
}

/* Jiffies until a UDP connection is a stream to the kernel, which it is with a packet 2 s after its first one. */
static __always_inline __s64 ct_until_stream(const struct nf_conn *ct)
{
	return ct->proto.udp.stream_ts - bpf_jiffies64();
}

/*
 * What the kernel does for an established connection's packet: its timeout begins anew, and a UDP stream becomes
 * ASSURED, which a full table does not end for the sake of others (nf_conntrack_udp_packet).
 */
static __always_inline void ct_renew(struct nf_conn *ct, __u8 protocol)
{
	__u32 timeout = protocol == IPPROTO_TCP ? setting(tcp_timeout_ms) : setting(udp_timeout_ms);

	if (protocol == IPPROTO_UDP && ct_until_stream(ct) >= 0)
		return;
	if (timeout)
		bpf_ct_change_timeout(ct, timeout);
	if (protocol == IPPROTO_UDP && !(ct->status & CT_ASSURED))
		bpf_ct_change_status(ct, ct->status | CT_ASSURED);
}

/* Does the flow's connection still live? With `renews`, it goes on living if so. */
static __always_inline int ct_follow(struct xdp_md *ctx, const struct xgw_flow_key *key, const struct xgw_flow *flow,
				     __u16 zone, int renews)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_ct_opts___xgw opts;
	struct nf_conn *ct;
	int lives;

	tuple.ipv4.saddr = key->saddr;
	tuple.ipv4.daddr = key->daddr;
	tuple.ipv4.sport = key->sport;
	tuple.ipv4.dport = key->dport;
	ct_options(&opts, key->protocol, zone);
	ct = bpf_xdp_ct_lookup(ctx, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (!ct)
		return 0;
	lives = ct_is_established(ct, key->protocol) && ct_is_flow(ct, opts.dir, flow);
	if (lives && renews)
		ct_renew(ct, key->protocol);
	bpf_ct_release(ct);
	return lives;
}

/* From XDP. */
static __noinline __attribute__((unused)) int ct_keep(struct xdp_md *ctx, const struct xgw_flow_key *key,
						      const struct xgw_flow *flow, __u16 zone)
{
	return ct_follow(ctx, key, flow, zone, 1);
}

/* The same, and nothing is changed by the question. */
static __noinline __attribute__((unused)) int ct_lives(struct xdp_md *ctx, const struct xgw_flow_key *key,
						       const struct xgw_flow *flow, __u16 zone)
{
	return ct_follow(ctx, key, flow, zone, 0);
}

#endif
