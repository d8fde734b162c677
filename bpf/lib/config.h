/* SPDX-License-Identifier: GPL-2.0 */
/* Settings that the loader writes before load: constants to the verifier, so a branch that is off costs
 * nothing. */
#ifndef XGW_CONFIG_H
#define XGW_CONFIG_H

#include <linux/types.h>
#include <bpf/bpf_helpers.h>

/* Weak, so that the compiler does not take the value here for the last word; not volatile, so that it reads it once. */
#define XGW_SETTING const __attribute__((weak))

/* The gateway's own address on the underlay, network byte order. GRE to any other address is not ours. */
XGW_SETTING __be32 underlay_address;

/*
 * The plain uplink: the NIC that its packets come in by (0: there is no uplink), and the MAC address that they are
 * sent to, as the first 6 of 8 bytes in memory.
 */
XGW_SETTING __u32 uplink_ifindex;
XGW_SETTING __u64 uplink_mac;

/*
 * VLAN tags that a side's frames have: bytes (0, 4 or 8), and each tag as it lies in the packet with all bits of
 * priority 0, the outermost first.
 */
XGW_SETTING __u32 underlay_tag_bytes;
XGW_SETTING __be32 underlay_tags[2];

/* NICs by which tunnelled packets may come in; the others are 0 from some place on. 0: by any that has the program. */
#define XGW_UNDERLAY_OTHERS 63
XGW_SETTING __u32 underlay_ifindex;
XGW_SETTING __u32 underlay_others[XGW_UNDERLAY_OTHERS];
XGW_SETTING __u32 uplink_tag_bytes;
XGW_SETTING __be32 uplink_tags[2];

/* Is a NIC a bond, on whose members XDP runs? (bond.h) */
XGW_SETTING __u32 has_bonds;

/* Does XDP_TX by a NIC ask as much of it as a redirect to it? (src/datapath/redirect-targets.ts) */
XGW_SETTING __u32 tx_is_redirect;

/*
 * How often a flow asks conntrack, in jiffies (the one clock that is free to read): 1 s, well below conntrack's
 * shortest timeout for an established connection (UDP stream, 120 s).
 */
XGW_SETTING __u32 liveness_jiffies = 1024;

/* How often the kernel is asked for a template's way: 100 ms. */
XGW_SETTING __u32 way_jiffies = 100;

/* How often a packet of a template's goes up for that: at most 255. */
XGW_SETTING __u32 sample_seconds = 10;

/* Entries of the flow table, a power of two: what the map has. More would cost flows, not correctness. */
XGW_SETTING __u32 flow_buckets = 32768;

/* So that nobody outside can choose tuples that all fall into one bucket. The same for all programs over one
 * table. */
XGW_SETTING __u64 flow_seed = 0;

/*
 * Bytes of fragments that may wait for the rest of their datagram before who is over its share gets no more, a tenant's
 * share, and a NIC's (src/model/fragments.ts).
 */
XGW_SETTING __u32 fragment_pool = ~0u;
XGW_SETTING __u32 fragment_share = 0;
XGW_SETTING __u32 fragment_nic_share = 0;

/* Drops that a CPU tells the monitors of in a tenth of a second: of one tenant, and of all. */
XGW_SETTING __u32 drops_told = 16;
XGW_SETTING __u32 drops_told_of_all = 256;

#endif
