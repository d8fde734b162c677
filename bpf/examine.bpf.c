// SPDX-License-Identifier: GPL-2.0
/*
 * What XDP's own functions say of a packet, one by one, for who asks what would become of it (src/datapath/trial.ts).
 * The program of the data path ends with the first that decides, and does what it decides; this one asks them all, does
 * nothing, and runs on no NIC. It has the flow table, the templates and the buckets of new connections for itself.
 */
#include "lib/types.h"
#include "lib/bond.h"
#include "lib/forward.h"
#include "lib/parse.h"
#include "lib/policy.h"

enum xgw_answer { XGW_UNASKED, XGW_NO, XGW_YES };

struct xgw_examined {
	struct xgw_flow_key key; /* as much of it as was parsed */
	__be32 peer;		 /* outer source; 0 for a plain packet */
	__u32 nic;		 /* ifindex, of the bond if it came by a member */
	__u32 inner;		 /* offset of the inner IP header, bytes; 0: it was not parsed */
	__u32 length;		 /* inner total length, bytes */
	__u32 parsed;		 /* enum xgw_reason: why no further; XGW_REASON_FORWARDED: all of it was */
	__u32 tenant;		 /* id; 0: nobody's */
	__u32 zone;
	__u32 generation;
	__u32 mark;	    /* of the connection, by the policy, if this were its first packet */
	__be32 destination; /* after DNAT, if it were */
	__u32 way_ifindex;  /* of the flow's template: what the kernel's look-up names, 0 where it is refused */
	__be32 way_next_hop;
	__u32 way_tunnel; /* ifindex of the tenant's tunnel that the template leads into */
	__u32 now;	  /* jiffies, the lower 32 bits */
	__u8 beginning;	  /* enum beginning: 0 none, 1 from the middle, 2 a first packet */
	/* enum xgw_answer */
	__u8 is_peer;
	__u8 has_policy;
	__u8 has_quota; /* is there room in the tenant's limits for one more? */
	__u8 is_known;	/* conntrack may know it */
	__u8 is_routed; /* the kernel would forward it */
	__u8 has_flow;
	__u8 is_due;	   /* the flow asks conntrack with this packet */
	__u8 has_template; /* that may be followed */
	__u8 has_moved;	   /* the host has another link-layer address than the template */
	__u8 lives;	   /* conntrack has the flow's connection */
	__u8 pad;
};
_Static_assert(sizeof(struct xgw_examined) == 88, "xgw_examined");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xgw_examined);
} examined SEC(".maps");

static __always_inline __u8 answer(int yes)
{
	return yes ? XGW_YES : XGW_NO;
}

static __always_inline struct xgw_tenant *tenant_of(const struct arrival *a, struct xgw_examined *seen)
{
	struct xgw_public_ip *public;
	struct xgw_tenant *tenant;

	if (!uplink_ifindex || a->key.wrap != XGW_WRAP_PLAIN) {
		tenant = tenant_by_key(a->key.realm);
		if (tenant)
			seen->is_peer = answer(is_peer(tenant->id, a->peer));
		return tenant;
	}
	public = public_ip(a->key.daddr);
	return public ? tenant_by_key(public->key) : NULL;
}

/* What is asked of a packet that may begin a connection. */
static __always_inline void examine_beginning(struct xdp_md *ctx, const struct arrival *a,
					      const struct xgw_tenant *tenant, struct xgw_examined *seen)
{
	struct judgement judgement = {.mark = 1, .destination = a->key.daddr};

	seen->beginning = beginning_of(ctx, a);
	seen->has_policy = answer(tenant->flags & XGW_TENANT_POLICY);
	if (seen->has_policy == XGW_YES)
		judge(a, tenant->id, &judgement);
	seen->mark = judgement.mark;
	seen->destination = judgement.destination;
	seen->has_quota = answer(quota_admits(tenant->id));
	seen->is_known = answer(ct_may_know(ctx, &a->key, tenant->zone));
	seen->is_routed = answer(would_be_forwarded(ctx, a, tenant->vrf_ifindex, judgement.destination));
}

static __always_inline void examine_flow(struct xdp_md *ctx, const struct arrival *a, __u16 zone,
					 struct xgw_examined *seen)
{
	struct bpf_fib_lookup fib = {.family = XGW_AF_INET, .tot_len = 1};
	struct xgw_tenant *tenant;
	struct xgw_encap *encap;
	int is_plain;
	struct xgw_flow flow, *place = flow_lookup(&a->key, &flow);

	seen->has_flow = answer(place != NULL);
	if (!place)
		return;
	seen->now = bpf_jiffies64();
	seen->is_due = answer(seen->now - flow.checked >= liveness_jiffies);
	seen->lives = answer(ct_lives(ctx, &a->key, &flow, zone));
	encap = encap_get(flow.encap);
	seen->has_template = answer(encap && encap->tenant == flow.tenant);
	if (!encap)
		return;
	is_plain = uplink_ifindex && encap->wrap == XGW_WRAP_PLAIN;
	seen->has_moved = answer(host_has_moved(encap, flow.daddr));
	tenant = tenant_by_key(is_plain ? a->key.realm : encap->realm);
	if (!tenant)
		return;
	seen->way_tunnel = tenant->tunnel_ifindex;
	if (way_look_up(ctx, encap, tenant, &a->key, &flow, is_plain, &fib))
		return;
	seen->way_ifindex = fib.ifindex;
	seen->way_next_hop = fib.ipv4_dst;
}

SEC("xdp")
int xgw_examine(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 bytes = frame_bytes(data, end);
	struct arrival a = {.nic = arrival_nic(ctx)};
	struct xgw_examined *seen;
	struct xgw_tenant *tenant;
	enum xgw_reason reason;
	__u32 only = 0;

	seen = bpf_map_lookup_elem(&examined, &only);
	if (!seen)
		return XDP_PASS;
	__builtin_memset(seen, 0, sizeof(*seen));
	reason = parse_outer(data, end, bytes, &a);
	if (uplink_ifindex && reason == XGW_REASON_HOST)
		reason = parse_plain(data, end, bytes, &a);
	if (reason == XGW_GO_ON)
		reason = parse_inner(data, end, &a);
	seen->key = a.key;
	seen->peer = a.peer;
	seen->nic = a.nic;
	seen->inner = a.inner;
	seen->length = a.length;
	seen->parsed = reason;
	if (reason == XGW_REASON_HOST)
		return XDP_PASS;
	tenant = tenant_of(&a, seen);
	if (!tenant)
		return XDP_PASS;
	seen->tenant = tenant->id;
	seen->zone = tenant->zone;
	seen->generation = generation_of(tenant->id);
	if (reason != XGW_GO_ON)
		return XDP_PASS;
	examine_beginning(ctx, &a, tenant, seen);
	examine_flow(ctx, &a, tenant->zone, seen);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
