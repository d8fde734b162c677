/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Types that user space sees: keys and values of the maps, and the enums of verdicts and reasons. TypeScript
 * reads them through BTF, so a name here is a name there. Every struct has explicit padding and a size that
 * is asserted.
 *
 * Addresses and ports (__be32, __be16) are in network byte order, everything else in host byte order.
 */
#ifndef XGW_SHARED_H
#define XGW_SHARED_H

#include <linux/types.h>

/* What happened to a packet. */
enum xgw_verdict {
	XGW_PASS,     /* to the kernel */
	XGW_TX,	      /* out of the NIC that it came in by */
	XGW_REDIRECT, /* out of another NIC */
	XGW_DROP,
	XGW_VERDICTS
};

/* Why. Each reason belongs to one verdict; docs/reasons.md says more. */
enum xgw_reason {
	/* XGW_TX, XGW_REDIRECT */
	XGW_REASON_FORWARDED, /* a flow matched: rewritten and sent */
	/* XGW_PASS */
	XGW_REASON_HOST,	/* not for a tenant: the gateway's own traffic */
	XGW_REASON_NO_FLOW,	/* no flow (yet) */
	XGW_REASON_NOT_TCP_UDP, /* ARP, ICMP and so on: always the kernel's */
	XGW_REASON_FRAGMENT,
	XGW_REASON_IP_OPTIONS,
	XGW_REASON_TTL,		/* would expire here */
	XGW_REASON_MTU,		/* would not fit the way out */
	XGW_REASON_GRE_FLAGS,	/* checksum, sequence or routing */
	XGW_REASON_TCP_CONTROL, /* SYN, FIN or RST: opens or closes */
	XGW_REASON_ECN,		/* outer and inner ECN need the kernel's judgement */
	XGW_REASON_GENERATION,	/* the tenant has changed since the flow was learned */
	XGW_REASON_CT_GONE,	/* conntrack no longer has the connection */
	XGW_REASON_MALFORMED,	/* cannot be parsed, or damaged */
	XGW_REASON_TEMPLATE,	/* the header template, or the NIC that it names, has gone, or was left: lib/way.h */
	XGW_REASON_SAMPLE,	/* so that the kernel uses the way that XDP uses, too: lib/way.h */
	XGW_REASON_OTHER_HOST,	/* sent to another MAC address than the NIC's or the tunnel's */
	/* XGW_DROP */
	XGW_REASON_UNKNOWN_KEY, /* a GRE key that no tenant has */
	XGW_REASON_STRANGER,	/* the outer source is not a peer of the tenant */
	XGW_REASON_POLICY,	/* would begin a connection that the tenant's policy does not admit */
	XGW_REASON_QUOTA,	/* would begin a connection that the tenant's limits have no room for */
	XGW_REASON_NEIGHBOURS,	/* would make a neighbour that the tenant's limits have no room for */
	XGW_REASON_FRAGMENTS,	/* would wait for the rest of its datagram, where its sender has enough waiting */
	XGW_REASON_SPOOFED,	/* came by the uplink with a private source that lies in the tenant's tunnel */
	XGW_REASON_NO_PORT,	/* would share a public address that has no port left for its destination */
	XGW_REASONS
};

/* Slots of one tenant in reason_stats; a power of two of at least XGW_REASONS. */
#define XGW_REASON_SLOTS 32
_Static_assert(XGW_REASONS <= XGW_REASON_SLOTS, "reason_stats: too many reasons for a tenant's slots");

/* How a packet is wrapped on the side where it is seen. */
enum xgw_wrap {
	XGW_WRAP_GRETAP, /* Ethernet in GRE with key */
	XGW_WRAP_GRE,	 /* IP in GRE with key */
	XGW_WRAP_PLAIN	 /* IP on the uplink */
};

/* tenants: GRE key -> tenant */
struct xgw_tenant {
	__u32 id;   /* slot in reason_stats and generations */
	__u32 zone; /* conntrack zone */
	__u32 vrf_ifindex;
	__u32 tunnel_ifindex;
	__u32 route_table;
	__u32 wrap;  /* enum xgw_wrap */
	__u32 mtu;   /* largest inner IP packet that fits the tunnel, bytes */
	__u32 flags; /* XGW_TENANT_* */
};
_Static_assert(sizeof(struct xgw_tenant) == 32, "xgw_tenant");

/* tunnels: the device is the tenant's VRF, on which the kernel looks for no neighbour. */
#define XGW_DEVICE_VRF 0x80000000

#define XGW_TENANT_POLICY 1 /* the policy maps have all of the tenant's policy, so what they lack is denied */

/* limits: what a tenant may have, by its id; slot 0 has the shares of those that have no number of their own. 0: in
 * slot 0 no limit, elsewhere the share. What is over a share, and who pays then, is the resource's own affair. */
struct xgw_limits {
	__u32 sessions;	      /* live connections */
	__u32 new_per_second; /* connections that begin */
	__u32 flows;	      /* lines of the flow table */
	__u32 templates;      /* of headers */
	__u32 rules;	      /* slots of rules */
	__u32 events_per_second;
	__u32 neighbours;
	__u32 pad;
};
_Static_assert(sizeof(struct xgw_limits) == 32, "xgw_limits");

/* Of a device's group: an instance's own (src/plan/owner.ts). */
#define XGW_GROUP 0x40000000

/* settings: what is so for all tenants, in the one slot. 0, until it is written: nothing is said. */
struct xgw_settings {
	/* What a living flow's conntrack timeout is set to: the kernel's own for established connections. */
	__u32 tcp_timeout_ms;
	__u32 udp_timeout_ms;
	/* The same in jiffies: a flow that had no packet for so long has no connection any more. */
	__u32 tcp_timeout_jiffies;
	__u32 udp_timeout_jiffies;
	/*
	 * How many connections, and how many neighbours, all tenants together may have before who is over its share
	 * gets no more: up to there the table is anybody's. With what is promised above it, tables have the room
	 * (src/model/shares.ts).
	 */
	__u32 session_pool;
	__u32 neighbour_pool;
	/* And how many before the config's own numbers for tenants count no more, but only shares do. */
	__u32 session_room;
	__u32 neighbour_room;
	/* New connections a second that are anybody's: who has used up its share takes of them. */
	__u32 new_pool;
};
_Static_assert(sizeof(struct xgw_settings) == 36, "xgw_settings");

/* losses: what a tenant did not get, or had to give, by its id. Counts of times. */
struct xgw_losses {
	__u64 flows_evicted;	 /* a flow that was followed lost its place to another */
	__u64 flows_refused;	 /* a flow found no place, and stays with the kernel */
	__u64 templates_refused; /* the same, for it found no place for its header template */
	__u64 rules_refused;	 /* packets that are counted with the tenant's rest */
	__u64 events_lost;	 /* over its share, or the ring was full */
};
_Static_assert(sizeof(struct xgw_losses) == 40, "xgw_losses");

/* peers: may this outer source send for the tenant? */
struct xgw_peer_key {
	__u32 tenant;
	__be32 address;
};
_Static_assert(sizeof(struct xgw_peer_key) == 8, "xgw_peer_key");

/* neighbours: of the kernel, IPv4, on a tenant's tunnel */
struct xgw_neighbour_key {
	__u32 ifindex;
	__be32 address;
};
_Static_assert(sizeof(struct xgw_neighbour_key) == 8, "xgw_neighbour_key");

/* refusals: who was refused a moment ago, for each CPU */
struct xgw_refusal {
	__u32 realm;
	__be32 peer; /* outer source */
	__u32 generation;
	__u16 tenant; /* whose generation it is; 0 for a key that no tenant has */
	__u16 reason; /* enum xgw_reason; 0: the line is free */
};
_Static_assert(sizeof(struct xgw_refusal) == 16, "xgw_refusal");

/* endpoints: which tunnel endpoint has this inner address? A longest-prefix-match trie. */
struct xgw_endpoint_key {
	__u32 prefixlen; /* 32 bits of tenant, then the bits of the address */
	__be32 tenant;	 /* big-endian for the trie's sake */
	__be32 address;
};
_Static_assert(sizeof(struct xgw_endpoint_key) == 12, "xgw_endpoint_key");

/* public_ips: public address -> tenant, for plain uplinks */
struct xgw_public_ip {
	__u32 tenant;
	__u32 tunnel_ifindex;
	__u32 key; /* the tenant's GRE key */
	__u32 mtu; /* largest IP packet that fits the uplink, bytes; 0: there is none */
};
_Static_assert(sizeof(struct xgw_public_ip) == 16, "xgw_public_ip");

/*
 * The policy, the same as the nft rules have it, in three tries. A service is 8 bits of IP protocol and 16 of
 * port, as the first bits of a big-endian word.
 */

/* destinations: (tenant, address, service) as it arrives -> where DNAT sends it. A one-to-one address has a
 * prefix without service. */
struct xgw_destination_key {
	__u32 prefixlen;
	__be32 tenant;
	__be32 address;
	__be32 service;
};
_Static_assert(sizeof(struct xgw_destination_key) == 16, "xgw_destination_key");

struct xgw_destination {
	__be32 address;
	__be16 port; /* 0: as it was */
	__u16 pad;
};
_Static_assert(sizeof(struct xgw_destination) == 8, "xgw_destination");

/* policy_networks: (tenant, direction, far side's address) -> the page of the services there */
struct xgw_network_key {
	__u32 prefixlen;
	__be32 scope; /* tenant << 1, + 1 for outbound */
	__be32 address;
};
_Static_assert(sizeof(struct xgw_network_key) == 12, "xgw_network_key");

/* A page is named by what is in it, so equal ones are one. The bytes mean nothing. */
struct xgw_page {
	__u32 name[2];
};
_Static_assert(sizeof(struct xgw_page) == 8, "xgw_page");

/* policy_services: (page, service after DNAT) -> mark, as conntrack gets it from the nft rules */
struct xgw_service_key {
	__u32 prefixlen;
	struct xgw_page page;
	__be32 service;
};
_Static_assert(sizeof(struct xgw_service_key) == 16, "xgw_service_key");

enum xgw_ct_mark {
	XGW_CT_MARK_RULE = 0xffff,	/* 1 + index of the rule; 0: no rule matched, which denies */
	XGW_CT_MARK_OUTBOUND = 0x10000, /* a rule for the tenant's own connections */
	XGW_CT_MARK_DENIED = 0x80000000,
};

/* denials: what the policy refused in XDP, by rule */
struct xgw_denial_key {
	__u32 tenant;
	__u32 mark;
};
_Static_assert(sizeof(struct xgw_denial_key) == 8, "xgw_denial_key");

/* A TCP or UDP tuple. */
struct xgw_tuple {
	__be32 saddr;
	__be32 daddr;
	__be16 sport;
	__be16 dport;
	__u8 protocol;
	__u8 pad[3];
};
_Static_assert(sizeof(struct xgw_tuple) == 16, "xgw_tuple");

/* A packet as it arrives. The realm keeps equal tuples of two tenants apart. */
struct xgw_flow_key {
	__be32 saddr;
	__be32 daddr;
	__be16 sport;
	__be16 dport;
	__u32 realm; /* GRE key; 0 on the uplink, where public addresses are whose they are */
	__u8 protocol;
	__u8 wrap;  /* enum xgw_wrap */
	__u8 flags; /* XGW_FLOW_*, of a flow; 0 in a key */
	__u8 reach; /* of a place in the table: how far off flows that belong here may be; 0 in a key */
};
_Static_assert(sizeof(struct xgw_flow_key) == 20, "xgw_flow_key");

#define XGW_FLOW_REPLY 1 /* the direction of conntrack's reply tuple */

/* A packet as it arrives -> what to do with it: one cache line, read and written as lib/flow_table.h says. */
struct xgw_flow {
	struct xgw_flow_key key; /* protocol 0: the place is free */
	__u16 sequence;		 /* odd: is being written */
	__u16 tenant;		 /* id */
	__u32 generation;	 /* the tenant's, when it was learned */
	__be32 peer;		 /* the outer source that last was checked against peers */
	__be32 saddr;		 /* as it leaves */
	__be32 daddr;
	__be16 sport;
	__be16 dport;
	__u16 ip_delta; /* one's complement sum to add to the inner IP header's, TTL - 1 included */
	__u16 encap;	/* index in encaps */
	__u32 checked;	/* jiffies, when conntrack was last asked */
	__u16 rule;	/* slot in rules, of the one that admitted the connection */
	/* Lossy when two CPUs carry the flow at once, and not kept when it is learned anew: rule_stats are exact. */
	__u16 bytes_high; /* with bytes_low: bytes of inner IP packets */
	__u32 packets;
	__u32 bytes_low;
} __attribute__((aligned(8))); /* it is copied in words of 8 bytes, on the stack, too */
_Static_assert(sizeof(struct xgw_flow) == 64, "xgw_flow");
_Static_assert(__builtin_offsetof(struct xgw_flow, generation) == 24, "xgw_flow: words that are copied");
_Static_assert(__builtin_offsetof(struct xgw_flow, packets) == 56, "xgw_flow: words that are copied");

/* flows: a flow lies in the bucket of its hash, at the hash's place or at any other in the bucket. */
#define XGW_FLOW_WAYS 32
struct xgw_flow_bucket {
	struct xgw_flow ways[XGW_FLOW_WAYS];
};
_Static_assert(sizeof(struct xgw_flow_bucket) == 2048, "xgw_flow_bucket");

/* encaps: what the kernel put in front of the inner IP packet, shared by all flows of a tenant that leave in the same
 * way. With all VLAN tags: Ethernet 14, tags 8, IP 20, GRE 8, inner Ethernet 14. */
enum xgw_encap_state {
	XGW_ENCAP_FREE,
	XGW_ENCAP_WRITING,
	XGW_ENCAP_READY,   /* the one state in which a template is read or found */
	XGW_ENCAP_RETIRED, /* by the daemon: of no flow, as it seems */
	XGW_ENCAP_LEFT,	   /* the kernel sends another way by now: lib/way.h */
};

/* The device that the kernel's look-up has named for a template, or one of these. */
enum xgw_way {
	XGW_WAY_UNASKED,
	XGW_WAY_REFUSED = 0xfffffffe, /* it says that nothing is sent there; never in a template, which is left then */
	XGW_WAY_UNTOLD = 0xffffffff,  /* it names another way, or none */
};

#define XGW_ENCAP_MAX 64
struct xgw_encap {
	__u32 state;   /* enum xgw_encap_state */
	__u32 ifindex; /* leaves by */
	__u32 realm;   /* where the other direction arrives */
	__u8 wrap;
	__u8 length;  /* of header */
	__u16 mtu;    /* of the inner IP packet */
	__u16 ip_sum; /* one's complement sum of the outer IP header, if any, without length, ECN and checksum */
	__u8 sampled __attribute__((btf_decl_tag("xgw:default=0"))); /* seconds, when a packet last went up for that */
	__u8 unseen
	    __attribute__((btf_decl_tag("xgw:default=0"))); /* such packets that the kernel was not seen to send */
	/* Whose flows may follow it; of one that an older version has left, the mover says it. */
	__u32 tenant __attribute__((btf_decl_tag("xgw:default=0")));
	__u32 asked __attribute__((btf_decl_tag("xgw:default=0"))); /* jiffies, when the way was last asked for */
	__u32 way __attribute__((btf_decl_tag("xgw:default=0")));   /* enum xgw_way */
	__u8 header[XGW_ENCAP_MAX];
};
_Static_assert(sizeof(struct xgw_encap) == 96, "xgw_encap");

/* conntrack: a connection, by its original tuple */
struct xgw_connection_key {
	struct xgw_tuple original;
	__u32 zone;
};
_Static_assert(sizeof(struct xgw_connection_key) == 20, "xgw_connection_key");

struct xgw_connection {
	struct xgw_tuple reply;
	__u64 born; /* bpf_ktime_get_coarse_ns */
	__u32 tenant;
	__u32 rule;	   /* conntrack's mark: 0, or 1 + index of the policy rule that admitted it */
	__u32 translation; /* IPS_SRC_NAT, IPS_DST_NAT */
	/* Where each direction's packets arrive: with its tuple, its flow's key. */
	__u32 original_realm __attribute__((btf_decl_tag("xgw:default=0")));
	__u32 reply_realm __attribute__((btf_decl_tag("xgw:default=0")));
	__u8 original_wrap __attribute__((btf_decl_tag("xgw:default=0")));
	__u8 reply_wrap __attribute__((btf_decl_tag("xgw:default=0")));
	__u16 pad;
};
_Static_assert(sizeof(struct xgw_connection) == 48, "xgw_connection");

struct xgw_counter {
	__u64 packets;
	__u64 bytes; /* reason_stats: of frames as they arrived; rule_stats: of inner IP packets as they left */
};
_Static_assert(sizeof(struct xgw_counter) == 16, "xgw_counter");

/* reason_stats: [tenant id], by XDP: packets as they arrived. XGW_REASON_FORWARDED stays 0, for what was forwarded is
 * counted by rule. One value a tenant: the kernel makes a per-CPU map a value at a time. */
struct xgw_reason_counters {
	struct xgw_counter reasons[XGW_REASON_SLOTS];
};

/* What carried a packet that was forwarded. */
enum xgw_tier { XGW_TIER_XDP, XGW_TIER_FLOWTABLE, XGW_TIER_STACK, XGW_TIERS };

/*
 * rules: which rule of which tenant a slot counts: tenant id << 32 | conntrack mark, or 0: free. The first
 * XGW_RULE_RESTS slots are not looked up: the slot of a tenant's id counts what no rule had to admit, and
 * what finds no slot of its own. A rule may have more than one slot.
 */
#define XGW_RULE_RESTS 8192
#define XGW_RULES 32768
_Static_assert(XGW_RULES <= 65536, "xgw_flow: rule");

/* rule_stats: [slot in rules] */
struct xgw_rule_counters {
	struct xgw_counter tiers[XGW_TIERS];
};
_Static_assert(sizeof(struct xgw_rule_counters) == 48, "xgw_rule_counters");

/* Bits of a packet's mark (fwmark) by which the nft rules tell the learner where a packet comes from; the others are
 * those of its connection's mark. None: by the flowtable, which passes the rules by. */
enum xgw_mark {
	XGW_MARK_RULE = 0x1fffffff,
	XGW_MARK_OWN = 0x20000000,    /* made by the gateway itself: forwarded for nobody */
	XGW_MARK_STACK = 0x40000000,  /* forwarded by the stack */
	XGW_MARK_UPLINK = 0x80000000, /* handed over by the uplink's program; the rules' first chain takes it off */
};

/* listeners: in the one slot, for each CPU, whether monitors listen. They write all of it. */
struct xgw_listeners {
	/* The tenth of a second, of CLOCK_MONOTONIC, in which one last said so, + 1; 0: none listens. */
	__u32 round;
	__u32
	    closed; /* 1 + id of a tenant of whose drops the CPU has told all that it tells of in the round; 0: none */
};
_Static_assert(sizeof(struct xgw_listeners) == 8, "xgw_listeners");

/* told: how many drops of a tenant, or of nobody (0), a CPU has told of in a round; of all in slot XGW_MAX_TENANTS. */
struct xgw_told {
	__u32 round;
	__u32 drops;
	__u64 judged; /* in the slot of all: bpf_ktime_get_ns, when a program of ours had the kernel drop a packet */
};
_Static_assert(sizeof(struct xgw_told) == 16, "xgw_told");

/* event_usage: what a tenant, or nobody (0), has caused of events lately. */
struct xgw_event_usage {
	__u64 second; /* bpf_ktime_get_ns / 10^9, that `emitted` is of */
	__u64 emitted;
};
_Static_assert(sizeof(struct xgw_event_usage) == 16, "xgw_event_usage");

enum xgw_event_kind {
	XGW_EVENT_FLOW_BORN = 1,
	XGW_EVENT_FLOW_DIED,
	XGW_EVENT_DROP,	       /* by a program of ours */
	XGW_EVENT_KERNEL_DROP, /* by the kernel */
};

#define XGW_EVENT_ARRIVING 1 /* dropped by the kernel on the device that it came in by */

/* What the bytes of a packet begin with. */
enum xgw_event_link { XGW_LINK_ETHERNET, XGW_LINK_IP };

/* events: each monitor's ring has records of this, of a drop with the packet's bytes behind. */
struct xgw_event {
	__u64 time;		 /* bpf_ktime_get_ns */
	__u64 location;		 /* of a drop by the kernel: address of the code */
	struct xgw_flow_key key; /* of a drop only as much as was parsed */
	__u32 tenant;		 /* 0: nobody's */
	__be32 peer;		 /* outer source, of a drop */
	__u16 kind;		 /* enum xgw_event_kind */
	__u16 reason;		 /* enum xgw_reason; of a drop by the kernel enum skb_drop_reason */
	__u32 mark;		 /* of a drop: conntrack's mark, which names the rule; 0: none */
	__u32 ifindex;		 /* of a drop: came in by, as far as known; otherwise 0 */
	__u32 length;		 /* of a drop: of the packet as it is seen, bytes */
	__u16 captured;		 /* of them, in the record */
	__u8 link;		 /* enum xgw_event_link */
	__u8 flags;		 /* XGW_EVENT_* */
};
_Static_assert(sizeof(struct xgw_event) == 64, "xgw_event");

#define XGW_EVENT_BYTES 128
struct xgw_packet_event {
	struct xgw_event event;
	__u8 bytes[XGW_EVENT_BYTES];
};
_Static_assert(sizeof(struct xgw_packet_event) == 192, "xgw_packet_event");

#endif
