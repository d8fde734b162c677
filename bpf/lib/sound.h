/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel would look at before it forwards an established flow's packet, and refuse: damaged headers, lengths
 * that contradict each other, frames that are for another host. XDP only finds the doubt; the kernel decides.
 */
#ifndef XGW_SOUND_H
#define XGW_SOUND_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include "checksum.h"

#define XGW_TCP_FIN 0x01
#define XGW_TCP_SYN 0x02
#define XGW_TCP_RST 0x04
#define XGW_TCP_ACK 0x10

/* IPv4, and a header of 20 bytes. */
static __always_inline int is_ip_without_options(const void *header)
{
	return *(const __u8 *)header == 0x45;
}

/* Is the checksum of an IP header without options right? (ip_rcv_core; with the checksum in it the sum is all ones.) */
static __always_inline int is_ip_header_right(const void *header)
{
	const __u32 *word = header;
	__u64 sum = (__u64)word[0] + word[1] + word[2] + word[3] + word[4];

	return sum_fold((sum & 0xffff) + (sum >> 16 & 0xffff) + (__u32)(sum >> 32)) == 0xffff;
}

/*
 * A gretap device has the MAC address 02:67 and its key (slow-path.ts says so when it makes one): a frame for any
 * other, flooded by a bridge for one, is not the gateway's to forward (PACKET_OTHERHOST).
 */
static __always_inline int is_for_tunnel(const struct ethhdr *eth, __be32 key)
{
	const __u16 *mac = (const __u16 *)eth->h_dest;

	return mac[0] == bpf_htons(0x0267) && *(const __u32 *)&mac[1] == key;
}

/* Of 8 bytes in memory, the first 6: a MAC address with what lies behind it. */
#define MAC_MASK bpf_cpu_to_be64(0xffffffffffff0000)

/* Was the frame sent to the MAC address that a template of the same NIC sends from? */
static __always_inline int is_for_sender(const struct ethhdr *eth, const struct ethhdr *sends)
{
	const __u16 *to = (const __u16 *)eth->h_dest, *from = (const __u16 *)sends->h_source;

	return to[0] == from[0] && *(const __u32 *)&to[1] == *(const __u32 *)&from[1];
}

/*
 * As conntrack's tcp_error and udp_error want them, the checksum apart. `length`: of the IP packet. Of flags that make
 * no sense those with FIN, SYN or RST are the kernel's anyway.
 */
static __always_inline int is_tcp_sound(const struct tcphdr *tcp, __u32 length)
{
	const __u8 *bytes = (const __u8 *)tcp;
	__u32 header = (bytes[12] >> 4) * 4;

	return header >= sizeof(*tcp) && sizeof(struct iphdr) + header <= length &&
	       bytes[13] & (XGW_TCP_FIN | XGW_TCP_SYN | XGW_TCP_RST | XGW_TCP_ACK);
}

static __always_inline int is_udp_sound(const struct udphdr *udp, __u32 length)
{
	__u32 claimed = bpf_ntohs(udp->len);

	return claimed >= sizeof(*udp) && sizeof(struct iphdr) + claimed <= length;
}

#endif
