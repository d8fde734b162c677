/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The MAC address of each NIC, in one word that also says which NIC of those with the same slot it is, so that it is
 * read and written in one piece: 6 bytes of address as they lie in a frame, and 2 of 1 + ifindex / XGW_NIC_MACS. Should
 * two NICs in use ever share a slot, frames go up to the kernel.
 */
#ifndef XGW_NIC_MAC_H
#define XGW_NIC_MAC_H

#include <bpf/bpf_endian.h>
#include "../maps.h"
#include "sound.h"

/* `mac`: 8 bytes of memory that begin with the address. */
static __always_inline __u64 nic_mac_word(__u64 mac, __u32 ifindex)
{
	return (mac & MAC_MASK) | bpf_cpu_to_be64((__u16)(1 + ifindex / XGW_NIC_MACS));
}

static __always_inline __u64 *nic_mac(__u32 ifindex)
{
	__u32 slot = ifindex % XGW_NIC_MACS;

	return bpf_map_lookup_elem(&nic_macs, &slot);
}

/* Does the NIC take what is sent to this address? */
static __always_inline int is_nic_mac(__u64 mac, __u32 ifindex)
{
	const __u64 *known = nic_mac(ifindex);

	return known && *(const volatile __u64 *)known == nic_mac_word(mac, ifindex);
}

static __always_inline void remember_nic_mac(__u64 mac, __u32 ifindex)
{
	__u64 *known = nic_mac(ifindex), word = nic_mac_word(mac, ifindex);

	if (known && *(volatile __u64 *)known != word)
		*(volatile __u64 *)known = word;
}

#endif
