/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Internet checksums, incrementally (RFC 1624, equation 3). Sums are over 16-bit words as they lie in memory:
 * one's complement addition gives the same result in either byte order as long as nobody mixes them (RFC
 * 1071, section 2).
 */
#ifndef XGW_CHECKSUM_H
#define XGW_CHECKSUM_H

#include <linux/types.h>

static __always_inline __u16 sum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The words of an address, unfolded: at most 0x1fffe. */
static __always_inline __u32 sum_address(__be32 address)
{
	return (address & 0xffff) + (address >> 16);
}

/* A checksum after the sum of the words below it has changed by delta. */
static __always_inline __u16 checksum_apply(__u16 checksum, __u32 delta)
{
	return ~sum_fold((__u16)~checksum + delta);
}

#endif
