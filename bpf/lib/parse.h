/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From bytes to headers. Everything is at an offset that is fixed at load, because a packet with IP options, optional
 * GRE fields or VLAN tags other than its side's is the kernel's: what a function cannot place it declines with the
 * reason, and never drops.
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
#include "sound.h"
#include "vlan.h"

/* What a step says when it has nothing to decline. */
#define XGW_GO_ON XGW_REASON_FORWARDED

/*
 * A reason that few packets have. Left to itself, the compiler sets a reason before the test that may find it, for each
 * packet.
 */
static __always_inline enum xgw_reason decline(enum xgw_reason reason)
{
	asm volatile("" : "+r"(reason));
	return reason;
}

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

/* In one load: the struct is packed. */
static __always_inline __be16 ether_type(const struct ethhdr *eth)
{
	return *(const __be16 *)((const void *)eth + 2 * ETH_ALEN);
}

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
	__u32 nic;    /* ifindex, of the bond if it came by a member */
	__be32 peer;  /* outer source; 0 for a plain packet */
	__u32 inner;  /* offset of the inner IP header; of a plain packet its only one */
	__u32 length; /* inner total length, host byte order */
	__u32 end;    /* of the outer IP packet (of a plain one, the frame), bytes from the start of the frame */
	__u8 outer_tos;
	__u8 tcp_flags; /* the byte with FIN, SYN, RST; 0 for UDP */
};

/* Where the inner IP header lies, in arrivals and templates alike. */
static __always_inline __u32 inner_offset(__u8 wrap)
{
	if (wrap == XGW_WRAP_GRETAP)
		return underlay_tag_bytes + GRETAP_INNER_OFFSET;
	if (uplink_ifindex && wrap == XGW_WRAP_PLAIN)
		return uplink_tag_bytes + ETH_HLEN;
	return underlay_tag_bytes + GRE_INNER_OFFSET;
}

static __always_inline int is_fragment(__be16 frag_off)
{
	return (frag_off & bpf_htons(IP_OFFSET_MASK)) != 0;
}

/*
 * GRE for us with something extra in the headers. Only the key is looked for, so that these packets are
 * admitted as any other. A fragment that is not the first has none; it is of no use without the first, and
 * that is judged.
 */
static __always_inline enum xgw_reason parse_unusual(struct outer *outer, void *end, struct arrival *a)
{
	__u32 offset = ETH_HLEN + outer->ip.ihl * 4;
	struct {
		__be16 flags;
		__be16 protocol;
		__be32 words[2];
	} *gre = (void *)outer + offset;

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

/* Bytes of a frame, in 64 bits: the compiler would take the difference again in 32, which pointers do not allow. */
static __always_inline __u64 frame_bytes(const void *data, const void *end)
{
	__u64 bytes = end - data;

	asm volatile("" : "+r"(bytes));
	return bytes;
}

static __noinline int is_other_underlay_nic(__u32 ifindex)
{
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < XGW_UNDERLAY_OTHERS && underlay_others[i]; i++)
		if (underlay_others[i] == ifindex)
			return 1;
	return 0;
}

/* May a tunnelled packet come in there? If not, the kernel drops and counts it (src/plan/rules.ts, judge_gre). */
static __always_inline int is_underlay_nic(__u32 ifindex)
{
	return !underlay_ifindex || ifindex == underlay_ifindex || is_other_underlay_nic(ifindex);
}

/* The outer headers of a frame of so many bytes. XGW_REASON_HOST: not in a tenant's tunnel. */
static __always_inline enum xgw_reason parse_outer(void *data, void *end, __u64 bytes, struct arrival *a)
{
	struct ethhdr *eth = data + underlay_tag_bytes;
	struct iphdr *ip = (void *)(eth + 1);
	struct gre_header *gre = (void *)(ip + 1);
	struct ethhdr *inner_eth = (void *)(gre + 1);

	if ((void *)(gre + 1) > end)
		return decline(XGW_REASON_HOST);
	if (underlay_tag_bytes && !is_tagged(data + TAGS_OFFSET, underlay_tag_bytes, underlay_tags))
		return decline(XGW_REASON_HOST);
	if (ether_type(eth) != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_GRE || ip->daddr != underlay_address)
		return decline(XGW_REASON_HOST);
	if (!is_underlay_nic(a->nic))
		return decline(XGW_REASON_HOST);
	a->peer = ip->saddr;
	a->outer_tos = ip->tos;
	if (!is_ip_without_options(ip) || is_fragment(ip->frag_off) || gre->flags != GRE_KEY_ONLY)
		return parse_unusual(data + underlay_tag_bytes, end, a);
	a->end = underlay_tag_bytes + ETH_HLEN + bpf_ntohs(ip->tot_len);
	a->key.realm = bpf_ntohl(gre->key);
	if (a->end > bytes || !is_ip_header_right(ip))
		return decline(XGW_REASON_MALFORMED);
	if (gre->protocol == bpf_htons(ETH_P_IP)) {
		a->key.wrap = XGW_WRAP_GRE;
		return XGW_GO_ON;
	}
	if (gre->protocol != bpf_htons(ETH_P_TEB))
		return decline(XGW_REASON_NOT_TCP_UDP);
	a->key.wrap = XGW_WRAP_GRETAP;
	if ((void *)(inner_eth + 1) > end)
		return decline(XGW_REASON_MALFORMED);
	if (ether_type(inner_eth) != bpf_htons(ETH_P_IP))
		return decline(XGW_REASON_NOT_TCP_UDP);
	return is_for_tunnel(inner_eth, gre->key) ? XGW_GO_ON : decline(XGW_REASON_OTHER_HOST);
}

/*
 * The header of a plain packet that came in by the uplink. XGW_REASON_HOST: it did not, or is not IP. Whether its
 * destination is a public address is left to those who find no flow for it.
 */
static __always_inline enum xgw_reason parse_plain(void *data, void *end, __u64 bytes, struct arrival *a)
{
	struct ethhdr *eth = data + uplink_tag_bytes;
	struct iphdr *ip = (void *)(eth + 1);

	if (a->nic != uplink_ifindex || (void *)(ip + 1) > end)
		return decline(XGW_REASON_HOST);
	/* As the kernel, that takes nothing which is for another MAC address. */
	if ((*(__u64 *)data ^ uplink_mac) & MAC_MASK || ether_type(eth) != bpf_htons(ETH_P_IP) ||
	    !is_tagged(data + TAGS_OFFSET, uplink_tag_bytes, uplink_tags))
		return decline(XGW_REASON_HOST);
	a->key.wrap = XGW_WRAP_PLAIN;
	a->key.realm = 0;
	a->key.daddr = ip->daddr;
	a->outer_tos = 0;
	a->end = bytes;
	return XGW_GO_ON;
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

	a->inner = offset;
	if ((void *)(ip + 1) > end)
		return decline(XGW_REASON_MALFORMED);
	if (!is_ip_without_options(ip))
		return decline(ip->version != 4 || ip->ihl < 5 ? XGW_REASON_MALFORMED : XGW_REASON_IP_OPTIONS);
	if (is_fragment(ip->frag_off))
		return decline(XGW_REASON_FRAGMENT);
	a->length = bpf_ntohs(ip->tot_len);
	if (offset + a->length > a->end || !is_ip_header_right(ip))
		return decline(XGW_REASON_MALFORMED);
	if (ip->protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = (void *)(ip + 1);

		if ((void *)(tcp + 1) > end || !is_tcp_sound(tcp, a->length))
			return decline(XGW_REASON_MALFORMED);
		a->tcp_flags = ((__u8 *)tcp)[13];
	} else if (ip->protocol == IPPROTO_UDP) {
		if (ports + sizeof(struct udphdr) > end || !is_udp_sound(ports, a->length))
			return decline(XGW_REASON_MALFORMED);
	} else {
		return decline(XGW_REASON_NOT_TCP_UDP);
	}
	set_tuple(&a->key, &ip->saddr, ports, ip->protocol);
	return XGW_GO_ON;
}

static __always_inline enum xgw_reason parse_inner(void *data, void *end, struct arrival *a)
{
	if (a->key.wrap == XGW_WRAP_GRETAP)
		return parse_inner_at(data, end, underlay_tag_bytes + GRETAP_INNER_OFFSET, a);
	if (uplink_ifindex && a->key.wrap == XGW_WRAP_PLAIN)
		return parse_inner_at(data, end, uplink_tag_bytes + ETH_HLEN, a);
	return parse_inner_at(data, end, underlay_tag_bytes + GRE_INNER_OFFSET, a);
}

#endif
