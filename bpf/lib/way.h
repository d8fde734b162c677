/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A template is followed only while the kernel would still send that way. XDP asks the kernel's tables again, at most
 * every way_jiffies for each template that is in use: route, neighbour and MTU, in one look-up, as for a packet of the
 * machine's own (rules, marks and sources count). What the look-up has once named and names no more is left: its flows'
 * packets go up, and the learner gets to know what the kernel does now. Nobody has to tell XDP of a change.
 *
 * The tables do not say everything. So a packet of each template is sampled every ten seconds: the kernel sends it, and
 * the learner sees whether its way is still the flow's. What it has not seen of several samples in a row is left, too:
 * the kernel has dropped them (a filter, IPsec, a device that is down), or sent them by a NIC that xgw does not look
 * at. One is sampled at once when the next hop, or the host in a bridged tunnel, has become stale: the kernel's use of
 * it makes the kernel ask whether it is still there, which the look-up does not.
 *
 * Where the look-up does not name the template's way from the beginning, it cannot: of several next hops the kernel
 * takes one by a hash that XDP does not know, or somebody has changed the packet behind the route. There a packet is
 * sampled every second.
 */
#ifndef XGW_WAY_H
#define XGW_WAY_H

#include "encap.h"
#include "fib.h"
#include "parse.h"
#include "tenant.h"

#define LOOPBACK_IFINDEX 1 /* as the kernel has it in look-ups for what the machine itself sends */
#define SAMPLE_SECONDS_IN_DOUBT 1
#define SAMPLES_UNSEEN 4 /* in a row: a tenant's own packet may be one that the kernel does not send */

/* Is it this CPU's turn to ask? One asks in each period; the others go on meanwhile. */
static __always_inline int way_is_due(struct xgw_encap *encap)
{
	__u32 now = bpf_jiffies64(), asked = *(volatile __u32 *)&encap->asked;

	if (__builtin_expect(now - asked < way_jiffies, 1))
		return 0;
	return __sync_val_compare_and_swap(&encap->asked, asked, now) == asked;
}

/* What fits, of inner IP packets: the tenant's MTU, or what the way leaves if that is less. (The look-up
 * has it by ip_mtu_from_fib_result: of a route what is locked, or learned from routers, or the device's.) */
static __always_inline void heed_mtu(struct xgw_encap *encap, const struct xgw_tenant *tenant,
				     const struct bpf_fib_lookup *fib)
{
	__u32 headers = encap->length - underlay_tag_bytes - ETH_HLEN, mtu = tenant->mtu;

	if (fib->mtu_result > headers && fib->mtu_result - headers < mtu)
		mtu = fib->mtu_result - headers;
	encap_set_mtu(encap, mtu);
}

static __always_inline int is_between(const struct ethhdr *eth, const struct bpf_fib_lookup *fib)
{
	const __u16 *to = (const __u16 *)eth->h_dest, *from = (const __u16 *)eth->h_source;
	const __u16 *smac = (const __u16 *)fib->smac, *dmac = (const __u16 *)fib->dmac;

	return !((to[0] ^ dmac[0]) | (to[1] ^ dmac[1]) | (to[2] ^ dmac[2]) | (from[0] ^ smac[0]) | (from[1] ^ smac[1]) |
		 (from[2] ^ smac[2]));
}

/* Inside a bridged tunnel there is a next hop as well, which is the host itself: neighbours.bpf.c. NULL: not known. */
static __always_inline const __u16 *host_mac(const struct xgw_tenant *tenant, __be32 host)
{
	struct xgw_neighbour_key key = {.ifindex = tenant->tunnel_ifindex, .address = host};

	return bpf_map_lookup_elem(&neighbour_macs, &key);
}

static __always_inline int is_to_mac(const struct xgw_encap *encap, const __u16 *mac)
{
	const __u16 *to = (const void *)encap->header + underlay_tag_bytes + GRE_INNER_OFFSET;

	return !((to[0] ^ mac[0]) | (to[1] ^ mac[1]) | (to[2] ^ mac[2]));
}

static __always_inline int is_to_host(const struct xgw_encap *encap, const struct xgw_tenant *tenant, __be32 host)
{
	const __u16 *mac = host_mac(tenant, host);

	return mac && is_to_mac(encap, mac);
}

/*
 * Has the host another link-layer address by now? Several of a host's addresses share a template, which is asked for by
 * packets of any; so each flow asks for its own as well, when it asks conntrack.
 */
static __noinline __attribute__((unused)) int host_has_moved(const struct xgw_encap *encap, __be32 host)
{
	struct xgw_tenant *tenant = encap->wrap == XGW_WRAP_GRETAP ? tenant_by_key(encap->realm) : NULL;
	const __u16 *mac = tenant ? host_mac(tenant, host) : NULL;

	return mac && !is_to_mac(encap, mac);
}

/* Once for each time that the neighbour has become stale. To look takes no lock. */
static __always_inline int take_stale(__u32 ifindex, __be32 address)
{
	struct xgw_neighbour_key key = {.ifindex = ifindex, .address = address};

	return bpf_map_lookup_elem(&stale_neighbours, &key) && !bpf_map_delete_elem(&stale_neighbours, &key);
}

/* Of bpf_fib_lookup (linux/bpf.h): the kernel sends nothing there, whatever it finds out. */
static __always_inline int is_refusal(int result)
{
	return result >= BPF_FIB_LKUP_RET_BLACKHOLE && result <= BPF_FIB_LKUP_RET_NOT_FWDED;
}

/* Asks the kernel's tables for a template's way, by a packet of one of its flows; as bpf_fib_lookup answers. `tenant`:
 * whose way it is. */
static __always_inline int way_look_up(void *ctx, const struct xgw_encap *encap, const struct xgw_tenant *tenant,
				       const struct xgw_flow_key *key, const struct xgw_flow *flow, int is_plain,
				       struct bpf_fib_lookup *fib)
{
	const struct outer *outer = (const void *)encap->header + underlay_tag_bytes;

	if (is_plain) {
		fib->ifindex = tenant->vrf_ifindex;
		fib->l4_protocol = key->protocol;
		fib->ipv4_src = key->saddr;
		fib->ipv4_dst = flow->daddr;
	} else {
		fib->ifindex = LOOPBACK_IFINDEX;
		fib->l4_protocol = IPPROTO_GRE;
		fib->tos = outer->ip.tos;
		fib->ipv4_src = outer->ip.saddr;
		fib->ipv4_dst = outer->ip.daddr;
	}
	return bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
}

/*
 * The device that the kernel's route names, if from and to there the template's frames go; XGW_WAY_REFUSED: the kernel
 * sends nothing there; 0: it would send otherwise, or has to find out first where to. That of a route over a VLAN or a
 * bond is not the NIC's. `is_stale`: somebody on it is to be asked about.
 */
static __noinline __attribute__((unused)) __u32 way_named(void *ctx, struct xgw_encap *encap,
							  const struct xgw_flow_key *key, const struct xgw_flow *flow,
							  int *is_stale)
{
	int is_plain = uplink_ifindex && encap->wrap == XGW_WRAP_PLAIN, refused;
	struct xgw_tenant *tenant = tenant_by_key(is_plain ? key->realm : encap->realm);
	struct bpf_fib_lookup fib = {.family = XGW_AF_INET, .tot_len = 1 /* any: asks for the MTU */};

	if (!tenant)
		return 0;
	refused = way_look_up(ctx, encap, tenant, key, flow, is_plain, &fib);
	if (is_refusal(refused))
		return XGW_WAY_REFUSED;
	if (!is_plain && !refused)
		heed_mtu(encap, tenant, &fib);
	if (refused || !is_between((const struct ethhdr *)encap->header, &fib))
		return 0;
	*is_stale = take_stale(fib.ifindex, fib.ipv4_dst); /* the next hop by now */
	if (encap->wrap != XGW_WRAP_GRETAP)
		return fib.ifindex;
	*is_stale |= take_stale(tenant->tunnel_ifindex, flow->daddr);
	return is_to_host(encap, tenant, flow->daddr) ? fib.ifindex : 0;
}

/* Is it time that a packet goes up: XGW_GO_ON, or why it does. */
static __always_inline enum xgw_reason way_sample(struct xgw_encap *encap, __u8 now, int is_named, int is_stale)
{
	__u8 unseen = *(volatile __u8 *)&encap->unseen;
	__u32 every = is_named && !unseen ? sample_seconds : SAMPLE_SECONDS_IN_DOUBT;

	if (!is_stale && (__u8)(now - encap->sampled) < every)
		return XGW_GO_ON;
	if (unseen >= SAMPLES_UNSEEN) {
		encap_leave(encap);
		return XGW_REASON_TEMPLATE;
	}
	encap->sampled = now;
	*(volatile __u8 *)&encap->unseen = unseen + 1; /* until the learner sees it: encap_confirm */
	return XGW_REASON_SAMPLE;
}

/* Asks for the way of a template that is due, by a packet of one of its flows: XGW_GO_ON, or why the packet goes up. */
static __noinline __attribute__((unused)) enum xgw_reason
way_ask(void *ctx, struct xgw_encap *encap, const struct xgw_flow_key *key, const struct xgw_flow *flow)
{
	int is_stale = 0;
	__u32 named = way_named(ctx, encap, key, flow, &is_stale), before = encap->way;
	__u8 now = bpf_ktime_get_coarse_ns() / 1000000000ull;

	if (named == XGW_WAY_REFUSED || (before != XGW_WAY_UNASKED && before != XGW_WAY_UNTOLD && named != before)) {
		encap_leave(encap);
		return XGW_REASON_TEMPLATE;
	}
	*(volatile __u32 *)&encap->way = named ? named : XGW_WAY_UNTOLD;
	if (before == XGW_WAY_UNASKED) {
		/* The kernel has just sent that way; if it could not be told, the next question is for the kernel. */
		encap->sampled = named ? now : now - SAMPLE_SECONDS_IN_DOUBT;
		return XGW_GO_ON;
	}
	return way_sample(encap, now, named != 0, is_stale);
}

#endif
