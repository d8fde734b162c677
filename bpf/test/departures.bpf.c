// SPDX-License-Identifier: GPL-2.0
/* The tc programs over packets that a test run cannot make. Their tc_index comes in cb[0] and is left in cb[1], and the
 * outermost VLAN tag may be not in the packet but in the skb. */
#include <linux/pkt_cls.h>
#include "../lib/learn.h"
#include "../lib/uplink.h"

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

static __always_inline int depart(struct __sk_buff *skb)
{
	skb->tc_index = skb->cb[0];
	learn(skb);
	skb->cb[1] = skb->tc_index;
	return NEXT;
}

SEC("tcx/egress")
int departs(struct __sk_buff *skb)
{
	return depart(skb);
}

SEC("tcx/egress")
int held_departs(struct __sk_buff *skb)
{
	return hold_tag(skb) ? TC_ACT_SHOT : depart(skb);
}

SEC("tcx/ingress")
int comes_out_of_tunnel(struct __sk_buff *skb)
{
	skb->tc_index = skb->cb[0];
	enter(skb);
	skb->cb[1] = skb->tc_index;
	return NEXT;
}

SEC("tcx/ingress")
int comes_by_uplink(struct __sk_buff *skb)
{
	int verdict = from_uplink(skb, NEXT, TC_ACT_SHOT);

	skb->cb[1] = skb->tc_index;
	return verdict;
}

char _license[] SEC("license") = "GPL";
