// SPDX-License-Identifier: GPL-2.0
/*
 * Netfilter programs: the last word about what a tenant may take of the kernel's own tables, for packets of every shape
 * and from wherever they come. XDP repeats the one about connections, earlier and for the plainest packets only.
 */
#include "lib/ct.h"
#include "lib/drop_skb.h"
#include "lib/flow_key.h"
#include "lib/fragments.h"
#include "lib/neighbour.h"
#include "lib/parse.h"
#include "lib/quota.h"
#include "lib/skb.h"
#include "lib/tenant.h"

static __always_inline int refuse(const struct sk_buff *skb, const struct nf_conn *ct, __u32 tenant,
				  enum xgw_reason reason)
{
	struct xgw_tuple tuple = {};
	struct xgw_flow_key key;

	if (ct)
		ct_read_original(ct, &tuple);
	flow_key_of(&tuple, 0, 0, &key);
	drop(skb, &key, tenant, reason);
	return NF_DROP;
}

/*
 * Forward and input, behind the policy: a connection that conntrack has not confirmed yet begins with this packet,
 * unless something drops it later. It is confirmed in the same run of the same CPU, so that all CPUs at once go past a
 * limit by at most one connection each. The device that a packet came by says whose it is: others on the machine use
 * zones, too, whose numbers say nothing of tenants.
 */
SEC("netfilter")
int xgw_quota(struct bpf_nf_ctx *ctx)
{
	struct sk_buff *skb = ctx->skb;
	struct nf_conn *ct = conntrack_of(skb);
	__u32 tenant;

	if (!ct || BPF_CORE_READ(ct, status) & CT_CONFIRMED)
		return NF_ACCEPT;
	tenant = tenant_of_device(ctx->state->in->ifindex);
	if (!tenant || tenant != BPF_CORE_READ(ct, zone.id) || quota_takes(tenant))
		return NF_ACCEPT;
	return refuse(skb, ct, tenant, XGW_REASON_QUOTA);
}

/*
 * Postrouting: the one place through which both what is forwarded into a tunnel and what the gateway itself sends there
 * comes before the kernel looks for the next hop's neighbour, and makes one where there is none. A next hop that has an
 * entry, resolved or not, takes no more room.
 */
SEC("netfilter")
int xgw_next_hop(struct bpf_nf_ctx *ctx)
{
	struct sk_buff *skb = ctx->skb;
	struct xgw_neighbour_key key = {.ifindex = ctx->state->out->ifindex};
	__u32 *tenant = bpf_map_lookup_elem(&tunnels, &key.ifindex);

	/* What the gateway itself sends passes here by the VRF first, and then by the tunnel. */
	if (!tenant || *tenant & XGW_DEVICE_VRF)
		return NF_ACCEPT;
	key.address = next_hop_of(skb);
	if (may_have_neighbour(*tenant, &key))
		return NF_ACCEPT;
	return refuse(skb, conntrack_of(skb), *tenant, XGW_REASON_NEIGHBOURS);
}

/*
 * Prerouting, before the kernel puts fragments together (NF_IP_PRI_CONNTRACK_DEFRAG): those that come out of a tenant's
 * tunnel are the tenant's, whoever has sent them; tunnelled packets in fragments are the NIC's that they came by.
 */
SEC("netfilter")
int xgw_fragment(struct bpf_nf_ctx *ctx)
{
	struct sk_buff *skb = ctx->skb;
	struct xgw_flow_key key = {};
	struct iphdr ip = {};
	__u32 slot;

	read_ip_header(skb, &ip);
	if (!is_fragment(ip.frag_off))
		return NF_ACCEPT;
	slot = fragment_slot(ctx->state->in);
	if (slot & XGW_DEVICE_VRF || fragment_takes(slot, ctx->state->net->ipv4.fqdir, skb->len))
		return NF_ACCEPT;
	key.saddr = ip.saddr;
	key.daddr = ip.daddr;
	key.protocol = ip.protocol;
	drop(skb, &key, slot < XGW_MAX_TENANTS ? slot : 0, XGW_REASON_FRAGMENTS);
	return NF_DROP;
}

/* Behind it. A packet that comes out of a tunnel passes once more by the VRF. */
SEC("netfilter")
int xgw_reassembled(struct bpf_nf_ctx *ctx)
{
	struct sk_buff *skb = ctx->skb;
	__u32 largest = largest_fragment_of(skb), slot;

	if (!largest)
		return NF_ACCEPT;
	slot = fragment_slot(ctx->state->in);
	if (!(slot & XGW_DEVICE_VRF))
		fragments_leave(slot, skb->len, largest);
	return NF_ACCEPT;
}

char _license[] SEC("license") = "GPL";
