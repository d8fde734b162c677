// SPDX-License-Identifier: GPL-2.0
/* The learner over packets that a test run cannot make: one that came in by the uplink, and one whose outermost VLAN
 * tag is not in the packet but in the skb. */
#include <linux/pkt_cls.h>
#include "../lib/learn.h"

#define NEXT (-1)

/* As a VLAN device hands it on: the tag out of the packet, into the metadata. */
static __always_inline int hold_tag(struct __sk_buff *skb)
{
	struct {
		__be16 type;
		__be16 id;
	} tag;

	if (bpf_skb_load_bytes(skb, TAGS_OFFSET, &tag, sizeof(tag)))
		return -1;
	return bpf_skb_vlan_pop(skb) || bpf_skb_vlan_push(skb, tag.type, bpf_ntohs(tag.id)) || !skb->vlan_present;
}

SEC("tcx/egress")
int from_uplink_departs(struct __sk_buff *skb)
{
	skb->tc_index = FROM_UPLINK;
	learn(skb);
	return NEXT;
}

SEC("tcx/egress")
int held_departs(struct __sk_buff *skb)
{
	if (hold_tag(skb))
		return TC_ACT_SHOT;
	learn(skb);
	return NEXT;
}

SEC("tcx/egress")
int held_from_uplink(struct __sk_buff *skb)
{
	if (hold_tag(skb))
		return TC_ACT_SHOT;
	skb->tc_index = FROM_UPLINK;
	learn(skb);
	return NEXT;
}

char _license[] SEC("license") = "GPL";
