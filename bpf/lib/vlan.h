/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VLAN tags (IEEE 802.1Q, 802.1ad). Each side, underlay and uplink, has the tags of the device that the config names,
 * known at load. A frame with other tags, more or fewer, is not of that side.
 *
 * Tags lie between the MAC addresses and the type. So all that comes behind is where it would be without tags if the
 * frame began that many bytes later: headers are laid over `frame + tag bytes`, and only the MAC addresses are not
 * where the struct says.
 */
#ifndef XGW_VLAN_H
#define XGW_VLAN_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include "../shared.h"
#include "config.h"

#define TAGS_OFFSET (2 * ETH_ALEN)
#define TAG_BYTES 4
/* Type and VLAN id; priority and drop eligibility may be any. */
#define TAG_MASK bpf_htonl(0xffff0fff)

/* Tag bytes of the side that packets with this wrap are of. */
static __always_inline __u32 tag_bytes_of(__u8 wrap)
{
	return uplink_ifindex && wrap == XGW_WRAP_PLAIN ? uplink_tag_bytes : underlay_tag_bytes;
}

/* Are these the tags? The caller has seen that the words are there. */
static __always_inline int is_tagged(const __be32 *words, __u32 bytes, const __be32 *tags)
{
	if (bytes >= TAG_BYTES && (words[0] & TAG_MASK) != tags[0])
		return 0;
	return bytes < 2 * TAG_BYTES || (words[1] & TAG_MASK) == tags[1];
}

#endif
