/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From bytes to headers. Everything is at a fixed offset, because a packet with IP options, VLAN tags or
 * optional GRE fields is the kernel's: what a function cannot place it declines with the reason, and never
 * drops.
 */
#ifndef XGW_PARSE_H
#define XGW_PARSE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "../shared.h"
#include "config.h"

/* What a step says when it has nothing to decline. */
#define XGW_GO_ON XGW_REASON_FORWARDED

/* RFC 2784 and RFC 2890, with the key and nothing else. */
struct gre_header {
	__be16 flags;
	__be16 protocol;
	__be32 key;
};
#define GRE_KEY_ONLY bpf_htons(0x2000)
#define GRE_KEY_BIT bpf_htons(0x2000)
#define GRE_WORD_BEFORE_KEY bpf_htons(0xc000) /* checksum or routing */
#define GRE_VERSION bpf_htons(0x0007)

/* The outer headers of a tunnelled packet. */
struct outer {
	struct ethhdr eth;
	struct iphdr ip;
	struct gre_header gre;
} __attribute__((packed));

#define GRE_INNER_OFFSET (sizeof(struct outer))		  /* 42 */
#define GRETAP_INNER_OFFSET (GRE_INNER_OFFSET + ETH_HLEN) /* 56 */
#define IP_OFFSET_MASK 0x3fff				  /* fragment offset and MF */

/* A packet as it arrived. */
struct arrival {
	struct xgw_flow_key key;
	__be32 peer;  /* outer source */
	__u32 inner;  /* offset of the inner IP header */
	__u32 length; /* inner total length, host byte order */
	__u32 end;    /* of the outer IP packet, bytes from the start of the frame; what follows is padding */
	__u8 outer_tos;
	__u8 tcp_flags; /* the byte with FIN, SYN, RST; 0 for UDP */
};

static __always_inline int is_fragment(__be16 frag_off)
{
	return (frag_off & bpf_htons(IP_OFFSET_MASK)) != 0;
}

/*
 * GRE for us with something extra in the headers. Only the key is looked for, so that these packets are
 * admitted as any other. A fragment that is not the first has none; it is of no use without the first, and
 * that is judged.
 */
static __always_inline enum xgw_reason parse_unusual(void *data, void *end, struct arrival *a)
{
	struct outer *outer = data;
	__u32 offset = ETH_HLEN + outer->ip.ihl * 4;
	struct {
		__be16 flags;
		__be16 protocol;
		__be32 words[2];
	} *gre = data + offset;

	if (outer->ip.version != 4 || outer->ip.ihl < 5 || (outer->ip.frag_off & bpf_htons(0x1fff)))
		return XGW_REASON_HOST;
	if ((void *)&gre->words[1] > end || !(gre->flags & GRE_KEY_BIT) || gre->flags & GRE_VERSION)
		return XGW_REASON_HOST;
	if (!(gre->flags & GRE_WORD_BEFORE_KEY))
		a->key.realm = bpf_ntohl(gre->words[0]);
	else if ((void *)(gre + 1) <= end)
		a->key.realm = bpf_ntohl(gre->words[1]);
	else
		return XGW_REASON_HOST;
	if (outer->ip.ihl != 5)
		return XGW_REASON_IP_OPTIONS;
	return is_fragment(outer->ip.frag_off) ? XGW_REASON_FRAGMENT : XGW_REASON_GRE_FLAGS;
}

/* The outer headers. XGW_REASON_HOST: not a tenant's packet at all. */
static __always_inline enum xgw_reason parse_outer(void *data, void *end, struct arrival *a)
{
	struct outer *outer = data;

	if (data + sizeof(*outer) > end)
		return XGW_REASON_HOST;
	if (outer->eth.h_proto != bpf_htons(ETH_P_IP) || outer->ip.protocol != IPPROTO_GRE ||
	    outer->ip.daddr != underlay_address)
		return XGW_REASON_HOST;
	a->peer = outer->ip.saddr;
	a->outer_tos = outer->ip.tos;
	if (outer->ip.version != 4 || outer->ip.ihl != 5 || is_fragment(outer->ip.frag_off) ||
	    outer->gre.flags != GRE_KEY_ONLY)
		return parse_unusual(data, end, a);
	a->end = ETH_HLEN + bpf_ntohs(outer->ip.tot_len);
	a->key.realm = bpf_ntohl(outer->gre.key);

	switch (outer->gre.protocol) {
	case bpf_htons(ETH_P_TEB): {
		struct ethhdr *eth = data + GRE_INNER_OFFSET;

		a->key.wrap = XGW_WRAP_GRETAP;
		a->inner = GRETAP_INNER_OFFSET;
		if ((void *)(eth + 1) > end)
			return XGW_REASON_MALFORMED;
		return eth->h_proto == bpf_htons(ETH_P_IP) ? XGW_GO_ON : XGW_REASON_NOT_TCP_UDP;
	}
	case bpf_htons(ETH_P_IP):
		a->key.wrap = XGW_WRAP_GRE;
		a->inner = GRE_INNER_OFFSET;
		return XGW_GO_ON;
	default:
		return XGW_REASON_NOT_TCP_UDP;
	}
}

/*
 * Writes a key in the words in which it is compared: what is stored in halves and loaded whole a moment later
 * waits for the store.
 */
static __always_inline void set_tuple(struct xgw_flow_key *key, const __be32 *addresses, const void *ports,
				      __u8 protocol)
{
	union {
		struct {
			__u32 ports;
			__u32 realm;
		};
		__u64 word;
	} transport = {{*(const __u32 *)ports, key->realm}};
	union {
		__u8 bytes[4];
		__u32 word;
	} kind = {{protocol, key->wrap, 0, 0}};

	*(__u64 *)&key->saddr = *(const __u64 *)addresses;
	*(__u64 *)&key->sport = transport.word;
	*(__u32 *)&key->protocol = kind.word;
}

/* The inner tuple, at a constant offset so that the verifier sees constant offsets. */
static __always_inline enum xgw_reason parse_inner_at(void *data, void *end, __u32 offset, struct arrival *a)
{
	struct iphdr *ip = data + offset;
	void *ports = ip + 1;

	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
		return XGW_REASON_MALFORMED;
	if (ip->ihl != 5)
		return XGW_REASON_IP_OPTIONS;
	if (is_fragment(ip->frag_off))
		return XGW_REASON_FRAGMENT;
	a->length = bpf_ntohs(ip->tot_len);
	if (a->inner + a->length > a->end)
		return XGW_REASON_MALFORMED;
	a->tcp_flags = 0;
	if (ip->protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = (void *)(ip + 1);

		if ((void *)(tcp + 1) > end || a->length < sizeof(*ip) + sizeof(*tcp))
			return XGW_REASON_MALFORMED;
		a->tcp_flags = ((__u8 *)tcp)[13];
	} else if (ip->protocol == IPPROTO_UDP) {
		if (ports + sizeof(struct udphdr) > end || a->length < sizeof(*ip) + sizeof(struct udphdr))
			return XGW_REASON_MALFORMED;
	} else {
		return XGW_REASON_NOT_TCP_UDP;
	}
	set_tuple(&a->key, &ip->saddr, ports, ip->protocol);
	return XGW_GO_ON;
}

static __always_inline enum xgw_reason parse_inner(void *data, void *end, struct arrival *a)
{
	if (a->key.wrap == XGW_WRAP_GRETAP)
		return parse_inner_at(data, end, GRETAP_INNER_OFFSET, a);
	return parse_inner_at(data, end, GRE_INNER_OFFSET, a);
}

#endif
