/**
 * The constant part of the nft table. Tenants are elements of its maps, so nothing here grows with them, and a packet
 * costs a fixed number of look-ups. Everything is keyed by the conntrack zone, which is the tenant's id. What has limits in
 * the kernel is in ./shares.ts.
 *
 * The policy maps give a connection's mark: 1 + the rule's index, plus `outboundMark` for outbound rules, plus
 * `deniedMark` when the rule denies. A packet that no cell covers keeps mark 0 and is denied as well.
 * The mark stays with the connection, and says which rule admitted it.
 */

import { createHash } from "node:crypto";
import type { PolicyCell } from "../model/desired.js";
import { groupBit, groupOf } from "./owner.js";
import { type Chain, digestOf } from "./seal.js";
import { setOfMap, shareScript, shareTypes, toShare, verdictMaps } from "./shares.js";
import type { Family } from "./state.js";

export const outboundMark = 0x1_0000;
export const deniedMark = 0x8000_0000;

/**
 * Bits of a packet's own mark (fwmark), by which the programs on the NICs' egress know what carried it: the stack, with
 * its connection's mark in the lower bits, or nobody, for it is the gateway's own. Packets of the flowtable pass the rules
 * by and have no mark. Up to the rules' first chain, what the program on the uplink has handed to a tenant has one, too. Enum
 * xgw_mark in bpf/shared.h.
 */
export const packetMarks = { rule: 0x1fff_ffff, own: 0x2000_0000, stack: 0x4000_0000, uplink: 0x8000_0000 } as const;

export type PolicyDirection = "inbound" | "outbound";

/** Bits of a connection's mark that have 1 + the rule's index. Enum xgw_ct_mark in bpf/shared.h. */
export const ruleMask = 0xffff;

export function policyMark(direction: PolicyDirection, { rule, verdict }: PolicyCell): number {
  return (direction === "outbound" ? outboundMark : 0) + rule + 1 + (verdict === "deny" ? deniedMark : 0);
}

/** Which rule of the policy a connection's mark names; undefined when none had to admit it, or no rule matched. */
export function ruleOfMark(mark: number): { readonly direction: PolicyDirection; readonly rule: number } | undefined {
  const number = mark & ruleMask;
  if (number === 0) return undefined;
  return { direction: (mark & outboundMark) === 0 ? "inbound" : "outbound", rule: number - 1 };
}

/** Names of the sets of the sides' devices, which are nobody's. */
export const sideSets: readonly string[] = ["sides", "other_sides", "other_hosts", "uplink", "underlay"];

/** Those that say who may come in, and what may leave by what. */
export const fenceSets: readonly string[] = [
  ...["zones", "gre_keys", "gre_peers", "own_tunnel", "uplink_sources"],
  ...sideSets,
];

/** All that tenants, or the sides' devices, are elements of. */
export const elementSets: readonly string[] = [
  ...fenceSets,
  "dnat_to",
  "forward_to",
  "forward_range",
  "snat_to",
  "shared_to",
  "segment",
  "inbound",
  "outbound",
];

/** Whether a set is one of them. A map of a share is not: see `setOfMap`. */
export const isElementSet = (name: string): boolean => elementSets.includes(name);

/** Counters that the rules write: denied connections by zone and mark. */
export const counterSets = {
  deniedInbound: "denied_inbound",
  deniedOutbound: "denied_outbound",
} as const;

/** Counters of what the rules drop for other reasons: by GRE key, or by the device that it came in by. */
export const refusalSets = {
  stranger: "strangers",
  spoofed: "spoofed",
  unserved: "unserved",
  crossed: "crossed",
  forged: "forged",
  gre_checksum: "summed_gre",
  host_quota: "host_quota",
} as const;

/**
 * New connections a second with the machine itself, from the sides, and how many at once: all of them together, of both
 * families, with the kernel's timeouts of what nobody answers (300 s, of other protocols 600 s), stay below what conntrack
 * keeps for them (`reserve` of model/kernel-tables.ts).
 */
export const hostQuotas = {
  usual: { perSecond: 38, burst: 1024 },
  other: { perSecond: 6, burst: 128 },
} as const;

/**
 * Next hops of each side that the machine itself sends to and has not sent to lately: so many a second, so many at once, and
 * how many there may be. `seconds` is how long the kernel keeps a neighbour that nobody uses, at most (gc_stale_time, and a
 * period of its collector).
 */
export const strangeHosts = { perSecond: 16, burst: 512, most: 2048, seconds: 75 } as const;
export type RefusalReason = keyof typeof refusalSets | "other_family";
/** In the table of IPv6. */
export const otherFamilySet = "other_family";
export const otherCrossedSet = "other_crossed";
export const otherHostQuotaSet = "other_host_quota";

/** The family of the table that a set is in. */
export const familyOfSet = (set: string): "ip" | "ip6" => (set.startsWith("other_") ? "ip6" : "ip");

/** Next hops that the machine has sent to, by the side. */
const metSets = { underlay: "met_by_underlay", uplink: "met_by_uplink" } as const;

/** Tenants whose TCP connections conntrack must not take up in their middle, for some of them have been ended. */
export const noPickupSet = "no_pickup";

/** Whether a set is written by packets and by what ends connections, and never compared with the config. */
export const isUncompared = (name: string): boolean =>
  [
    ...[noPickupSet, otherFamilySet, otherCrossedSet, otherHostQuotaSet],
    ...[metSets, counterSets, refusalSets].flatMap((sets): string[] => Object.values(sets)),
  ].includes(name);

/** What RFC 1918 and RFC 6598 leave to everybody. */
const privateNetworks = "{ 10.0.0.0/8, 100.64.0.0/10, 172.16.0.0/12, 192.168.0.0/16 }";
const icmpErrors = "{ destination-unreachable, time-exceeded, parameter-problem }";
const rateOver = ({ perSecond, burst }: { readonly perSecond: number; readonly burst: number }) =>
  `limit rate over ${perSecond}/second burst ${burst} packets`;

/** A new connection of one family that begins with the machine itself. */
const limitHost = (protocol: string, usual: string): string => `		ct state != new return
		ct status confirmed return
		${protocol} ${usual} ${rateOver(hostQuotas.usual)} goto refuse_host
		${protocol} != ${usual} ${rateOver(hostQuotas.other)} goto refuse_host`;

const { most, seconds } = strangeHosts;
const metSet = (name: string) =>
  `set ${name} { typeof oifname . ip daddr; size ${most}; flags dynamic,timeout; timeout ${seconds}s; }`;

/** Of a side by which the machine itself sends something. A set that is full takes nobody in. */
const meet = (
  met: string,
): string => `		oifname . rt ip nexthop != @${met} ${rateOver(strangeHosts)} goto refuse_answer
		update @${met} { oifname . rt ip nexthop } accept
		goto refuse_answer`;

const notDenied = `ct mark & 0x80000000 == 0 ct mark != 0`;

/*
 * `ip protocol`, not `meta l4proto`, in the keys: Linux 7.2 refuses the latter there, as nft 1.0.6 writes it.
 *
 * Rules from top to bottom:
 * - assign_zone: GRE with one of our keys is let in by the peers' devices only, wherever it comes in, also out of a VRF; other
 *   people's GRE is not ours to judge. The VRF's second pass through prerouting has nothing to add: what has no connection by then is
 *   invalid in the tenant's zone, and would begin one in no zone. The outer GRE packets are not tracked, a tenant's own are.
 * - OTHERS: what comes out of another instance's tunnels and VRFs is judged by that instance's table. A device of no instance's
 *   group is taken for one's own, by each.
 * - judge_gre: RFC 2890's header of version 0 with a key, which is in the second word, behind a checksum in the third. The
 *   reassembly of fragments comes before (NF_IP_PRI_CONNTRACK_DEFRAG), and the kernel itself takes no GRE with routing.
 *   A tunnel takes packets with checksums only, or only without (ip_tunnel_rcv), and ours are without.
 * - judge_source: what comes out of a tunnel has a source that the tenant's routes lead back into it: nothing is forwarded or
 *   answered in somebody else's name. ICMP errors come from routers on the way as well; nobody answers them. What the uplink
 *   has handed over comes from anywhere, and is known by its mark.
 * - judge_outsider: nobody outside has a private address that the tenant's routes lead into its tunnel. Other networks may be
 *   reached by tunnel and uplink alike.
 * - judge_own_gre: what the gateway puts into a tenant's tunnel goes to the tenant's peers, by their devices. A tunnel without a
 *   remote end sends what no route gives one, such as an answer to the broadcast address of the tenant's network, to the inner
 *   destination itself, wherever the gateway's main table leads it.
 * - own: an ICMP error of the gateway's quotes a packet after its translation. In the tenant's zone conntrack knows the
 *   connection, and gives the error back the addresses that the sender used. Nothing else that the gateway sends into a
 *   tenant is the tenant's connection. The kernel gives most errors the connection of their packet by itself
 *   (icmp_glue_bits); the map is for those that have lost it.
 * - to_tenant: a range of ports that stay as they are is one element. The kernel cannot add, and would choose any port of a
 *   range that it is given, so that a range that is led to other ports is an element a port of forward_to.
 * - to_gateway, forward: what comes out of a tunnel comes by its VRF. By the tunnel itself it comes where somebody has deleted the
 *   VRF, and would take the machine's own routes.
 * - to_gateway: of a tenant's packets to its gateway none reaches what listens for all devices alike (raw sockets do, unless
 *   net.ipv4.raw_l3mdev_accept is 0): routing daemons, VRRP, other people's tunnels.
 * - from_tenant: see shares.ts for the ports of what is shared.
 * - limit_host: what begins with the machine itself is in conntrack's zone 0, and must not take what tenants are promised.
 *   What nobody answers stays new, and is confirmed from its second packet on.
 * - to_hosts: whoever is on a side's wire can have the machine answer under any address there, also what is of no connection
 *   (resets, ICMP errors), and the kernel makes a neighbour of each that it answers. So of hosts that it has not sent to
 *   lately there are only so many. Where the way leads by a router, that is the one host. The outer packets of tunnels go to
 *   endpoints that somebody has configured.
 * - take_mark_off: a packet's mark stays with it through its tunnel, and somebody's rule may have set the bit that says that the
 *   uplink's program handed it over.
 * - judge_news: "fragmentation needed" about a tunnelled packet changes the kernel's route to its endpoint for all tenants. It
 *   is believed by an underlay device about what the gateway may have sent: GRE with a key to one of its peers, in a header
 *   without options. The error's device is the one whose routes it changes (gre_err), so that by others there is nothing to
 *   judge. About an answer to an echo the kernel believes it from everybody, a tenant included (icmp_err); but the kernel sends
 *   those without DF.
 * - forward: between the sides nobody is served but tenants, nor sent back by the side that it came from: that would go round
 *   until its time is over, or ask for absent hosts there. What is established goes to the flowtable of its zone's share;
 *   those come with the first device of each. What does not come out of one of our VRFs is not ours to judge. Denied is what no rule admits. A packet from
 *   the middle of a connection that conntrack does not have may be of one that was ended: an answer of its server would
 *   begin it again, as an outbound one. Where connections were ended within a day, both ends are told instead: those that
 *   answer by the tenant's tunnel, for a reset takes the routes of the device that its packet would have left by, and the
 *   uplink's are not the tenant's.
 *   A SYN says what its sender can receive, so that its maximum segment size is lowered to what the tenant's tunnel carries
 *   (which it came by, or will be answered by), and to what the route that it takes carries. nft never raises it.
 * - leaving: after translation. An ICMP error that the gateway makes for somebody outside has by now the public address that he
 *   used, if conntrack knows the connection; otherwise one from inside the tenant, and is not sent. One that belongs to no
 *   connection at all bears the device's own address. In zone 0 the gateway speaks for itself. A tenant's packet leaves by its
 *   tunnel, or by the uplink with an address of the tenant's. Conntrack's zone says whose it is; without one it is nobody's,
 *   and stays here.
 * - forwarded, and the end of own: for the count of what leaves, see packetMarks. Of the gateway's own packets only those
 *   into tenants are marked.
 */
const body = `
	map zones { typeof iifname : ct zone; }
	map gre_keys { typeof ip daddr . @th,32,32 : ct zone; }
	map gre_peers { typeof iifname . @nh,96,32 . @th,32,32 : ct zone; }
	set own_tunnel { typeof ct zone . oifname; }
	set uplink_sources { typeof ct zone . oifname . ip saddr; }
	set sides { typeof iifname; }
	set uplink { typeof oifname; }
	set underlay { typeof iifname; }
	map dnat_to { typeof ct zone . ip daddr : ip daddr; }
	map forward_to { typeof ct zone . ip daddr . ip protocol . th dport : ip daddr . th dport; }
	map snat_to { typeof ct zone . ip saddr : ip saddr; }
	map segment { typeof ct zone : tcp option maxseg size; }
	set denied_inbound { typeof ct zone . ct mark; size 65535; flags dynamic; counter; }
	set denied_outbound { typeof ct zone . ct mark; size 65535; flags dynamic; counter; }
	set strangers { typeof @th,32,32; size 65535; flags dynamic; counter; }
	set summed_gre { typeof @th,32,32; size 65535; flags dynamic; counter; }
	set spoofed { typeof iifname; size 65535; flags dynamic; counter; }
	set unserved { typeof iifname; size 65535; flags dynamic; counter; }
	set crossed { typeof iifname; size 65535; flags dynamic; counter; }
	set forged { typeof iifname; size 65535; flags dynamic; counter; }
	set host_quota { typeof iifname; size 65535; flags dynamic; counter; }
	${metSet(metSets.underlay)}
	${metSet(metSets.uplink)}
	set ${noPickupSet} { typeof ct zone; flags timeout; timeout 1d; }
${verdictMaps}
	chain judge_gre {
		@th,0,16 & 0xa007 == 0xa000 goto judge_summed_gre
		@th,0,16 & 0xa007 != 0x2000 return
		iifname . @nh,96,32 . @th,32,32 @gre_peers return
		ip daddr . @th,32,32 @gre_keys update @strangers { @th,32,32 }
		ip daddr . @th,32,32 @gre_keys drop
	}
	chain judge_summed_gre {
		iifname . @nh,96,32 . @th,64,32 @gre_peers goto refuse_summed_gre
		ip daddr . @th,64,32 @gre_keys update @strangers { @th,64,32 }
		ip daddr . @th,64,32 @gre_keys drop
	}
	chain refuse_summed_gre {
		ip daddr . @th,64,32 @gre_keys update @summed_gre { @th,64,32 }
		ip daddr . @th,64,32 @gre_keys drop
	}
	chain assign_zone {
		type filter hook prerouting priority raw; policy accept;
		ip protocol gre jump judge_gre
		OTHERS accept
		iifname "xvrf*" notrack
		meta iifkind "vrf" accept
		iifname != "xgre*" ip protocol gre notrack
		ct zone set iifname map @zones
		iifname "xgre*" meta mark & 0x80000000 == 0 jump judge_source
		iifname "xgre*" meta mark & 0x80000000 != 0 ip saddr ${privateNetworks} jump judge_outsider
		iifname "xgre*" meta mark set meta mark & 0x7fffffff
	}
	chain judge_source {
		icmp type ${icmpErrors} return
		fib saddr . iif oif missing goto refuse_spoofed
	}
	chain judge_outsider {
		icmp type ${icmpErrors} return
		fib saddr . iif oif exists goto refuse_spoofed
	}
	chain refuse_spoofed {
		update @spoofed { iifname }
		drop
	}
	chain judge_own_gre {
		@th,0,16 & 0xa007 != 0x2000 return
		oifname . @nh,128,32 . @th,32,32 @gre_peers return
		ip saddr . @th,32,32 @gre_keys update @strangers { @th,32,32 }
		ip saddr . @th,32,32 @gre_keys drop
	}
	chain own {
		type filter hook output priority raw; policy accept;
		ip protocol gre jump judge_own_gre
		ip protocol gre notrack
		icmp type ${icmpErrors} ct zone set oifname map @zones
		oifname "xvrf*" meta mark set 0x20000000
		oifname "xgre*" meta mark set 0x20000000
	}
	chain to_tenant {
		type nat hook prerouting priority dstnat; policy accept;
		dnat ip to ct zone . ip daddr . ip protocol . th dport map @forward_to
		${toShare("forward_range")}
		dnat ip to ct zone . ip daddr map @dnat_to
	}
	chain to_gateway {
		type filter hook input priority filter; policy accept;
		icmp type destination-unreachable icmp code 4 jump judge_news
		icmp type redirect jump judge_news
		iifname @underlay jump limit_host
		iifname @uplink iifname != @underlay jump limit_host
		OTHERS accept
		iifname "xgre*" goto refuse_spoofed
		iifname != "xvrf*" accept
		ip protocol { icmp, tcp, udp } accept
		update @unserved { iifname }
		drop
	}
	chain limit_host {
${limitHost("ip protocol", "{ icmp, tcp, udp }")}
	}
	chain refuse_host {
		update @host_quota { iifname }
		drop
	}
	chain to_hosts {
		type filter hook output priority filter; policy accept;
		ip protocol gre accept
		oifname @underlay goto meet_by_underlay
		oifname @uplink goto meet_by_uplink
	}
	chain meet_by_underlay {
${meet(metSets.underlay)}
	}
	chain meet_by_uplink {
${meet(metSets.uplink)}
	}
	chain refuse_answer {
		update @host_quota { oifname }
		drop
	}
	chain take_mark_off {
		type filter hook input priority 200; policy accept;
		iifname @underlay ip protocol gre meta mark set meta mark & 0x7fffffff
	}
	chain judge_news {
		@th,136,8 1 @th,64,8 != 0x45 goto refuse_forged
		@th,136,8 1 @th,224,8 0 goto refuse_forged
		iifname != @underlay return
		@th,136,8 != 47 return
		@th,64,8 0x45 @th,224,16 0x2000 iifname . @th,192,32 . @th,256,32 @gre_peers return
		goto refuse_forged
	}
	chain refuse_forged {
		update @forged { iifname }
		drop
	}
	chain from_tenant {
		type nat hook postrouting priority srcnat; policy accept;
		snat ip to ct zone . ip saddr map @snat_to
		${toShare("shared_to")}
	}
	chain forward {
		type filter hook forward priority filter; policy accept;
		iifname @sides oifname @sides goto between_sides
		OTHERS accept
		iifname "xgre*" goto refuse_spoofed
		iifname != "xvrf*" accept
		tcp flags syn tcp option maxseg size set rt mtu
		tcp flags syn tcp option maxseg size set ct zone map @segment
		ct state established ip protocol { tcp, udp } ${toShare("fastpath")}
		ct state established,related accept
		ct state invalid,untracked drop
		ct zone @${noPickupSet} tcp flags & (fin | syn | rst | ack) != syn goto refuse_pickup
		ct status dnat jump admit_inbound
		ct status dnat accept
		jump admit_outbound
	}
	chain between_sides {
		update @crossed { iifname }
		drop
	}
	chain refuse_pickup {
		oifname "xgre*" reject with tcp reset
		drop
	}
	chain leaving {
		type filter hook postrouting priority srcnat + 10; policy accept;
		meta iif 0 oifname @uplink icmp type ${icmpErrors} goto judge_error
		iifname != "xvrf*" accept
		OTHERS accept
		meta mark & 0x20000000 == 0x20000000 accept
		ct zone . oifname @own_tunnel accept
		ct zone . oifname . ip saddr @uplink_sources accept
		goto refuse_spoofed
	}
	chain judge_error {
		ct zone 0 accept
		ct zone . oifname . ip saddr @uplink_sources accept
		fib saddr . oif type local accept
		drop
	}
	chain forwarded {
		type filter hook forward priority filter + 10; policy accept;
		iifname "xvrf*" meta mark set ct mark or 0x40000000
	}
	chain admit_inbound {
		${toShare("inbound")}
		${notDenied} return
		update @denied_inbound { ct zone . ct mark }
		drop
	}
	chain admit_outbound {
		${toShare("outbound")}
		${notDenied} return
		update @denied_outbound { ct zone . ct mark }
		drop
	}
`;

/**
 * The table of IPv6, of which a tenant has none: what comes out of a tunnel in spite of that goes nowhere. Between the sides it
 * is as of IPv4, and so is what begins with the machine itself, for conntrack's table is one for both. Its neighbours are not.
 */
const otherFamilyBody = `
	set ${otherFamilySet} { typeof iifname; size 65535; flags dynamic; counter; }
	set ${otherCrossedSet} { typeof iifname; size 65535; flags dynamic; counter; }
	set ${otherHostQuotaSet} { typeof iifname; size 65535; flags dynamic; counter; }
	set other_sides { typeof iifname; }
	set other_hosts { typeof iifname; }
	chain refuse {
		type filter hook prerouting priority raw; policy accept;
		OTHERS accept
		iifname "xgre*" goto count
		iifname "xvrf*" goto count
	}
	chain count {
		update @${otherFamilySet} { iifname }
		drop
	}
	chain forward {
		type filter hook forward priority filter; policy accept;
		iifname @other_sides oifname @other_sides update @${otherCrossedSet} { iifname }
		iifname @other_sides oifname @other_sides drop
	}
	chain to_gateway {
		type filter hook input priority filter; policy accept;
		iifname @other_hosts jump limit_host
	}
	chain limit_host {
${limitHost("meta l4proto", "{ ipv6-icmp, tcp, udp }")}
	}
	chain refuse_host {
		update @${otherHostQuotaSet} { iifname }
		drop
	}
`;

/** What the keys and values of a set are made of, each in nft's words. */
export interface SetTypes {
  readonly key: readonly string[];
  /** Empty for a set that is no map. */
  readonly value: readonly string[];
}

const setTypes: ReadonlyMap<string, SetTypes> = new Map(
  [
    ...shareTypes,
    ...[...`${body}${otherFamilyBody}`.matchAll(/^\t(?:map|set) (\w+) \{ typeof ([^;]+);/gm)].map(
      ([, name = "", types = ""]) => [name, types] as const,
    ),
  ].map(([name, types]) => {
    const [key = "", value] = types.split(" : ");
    return [name, { key: key.split(" . "), value: value?.split(" . ") ?? [] }];
  }),
);

/** @param name of a set or map of the table, which may be a share's */
export const typesOfSet = (name: string): SetTypes | undefined => setTypes.get(setOfMap(name));

/** What comes by a device of another instance. */
const devicesOfOthers = (instance: string) =>
  `meta iifgroup & ${groupBit} == ${groupBit} meta iifgroup != ${groupOf(instance)}`;

/** Changes whenever the rules do, those of a share included. */
export const rulesVersion = createHash("sha256")
  .update(devicesOfOthers(""))
  .update(body)
  .update(otherFamilyBody)
  .update(shareScript("", 0, []))
  .digest("hex")
  .slice(0, 12);

/** How many rules each chain of a constant part has. */
const countRules = (part: string): ReadonlyMap<string, number> =>
  new Map(
    part
      .split("\tchain ")
      .map((chain) => {
        const [head = "", ...lines] = chain.slice(0, chain.indexOf("\n\t}")).split("\n");
        return [head.replace(" {", ""), lines.filter((line) => !line.startsWith("\t\ttype ")).length] as const;
      })
      .slice(1),
  );

/** By family, as nft names it. */
const ruleCounts = { ip: countRules(body), ip6: countRules(otherFamilyBody) } as const;

/** In the place of the version of rules that are not as xgw wrote them. */
export const damagedRules = "damaged";

type Chains = ReadonlyMap<string, Chain>;

/** The name of the seal of the family's constant rules, when they are as in these chains. */
export const sealOfRules = (family: keyof typeof ruleCounts, chains: Chains): string =>
  `xgw_seal_${digestOf([...ruleCounts[family].keys()].map((chain) => chains.get(chain)))}`;

/** Whether the rules of the family's table are all there, and none has been changed. */
export const areRulesWhole = (family: keyof typeof ruleCounts, chains: Chains): boolean =>
  [...ruleCounts[family]].every(([chain, count]) => chains.get(chain)?.rules.length === count) &&
  chains.has(sealOfRules(family, chains));

export const tableName = (instance: string) => `xgw_${instance.replaceAll("-", "_")}`;

/** An empty chain by which xgw knows its own table and the version of the rules: older ones read JSON, which lacks comments. */
const versionChain = (version: string) => `xgw_version_${version}`;

/** The version of the rules in a table with these chains; undefined for a table that xgw did not make. */
export function versionOf(chains: Iterable<string>): string | undefined {
  const prefix = versionChain("");
  return [...chains].find((name) => name.startsWith(prefix))?.slice(prefix.length);
}

const bothFamilies: readonly Family[] = ["ipv4", "ipv6"];

/**
 * Makes the tables anew, without elements, in one transaction, in the place of what there is of them.
 *
 * @param families that the kernel has; it takes no table of another
 */
export function rulesScript(instance: string, families = bothFamilies): string {
  const version = `\n\tchain ${versionChain(rulesVersion)} { }\n`;
  return `${removalScript(instance, families)}${tables(instance, families)
    .map(({ table, rules }) => `table ${table} {${version}${rules.replaceAll("OTHERS", devicesOfOthers(instance))}}\n`)
    .join("")}`;
}

/** Removes the tables, also where they are not there: nft knows no such deletion before `destroy` of 1.0.7. */
export const removalScript = (instance: string, families = bothFamilies): string =>
  tables(instance, families)
    .map(({ table }) => `add table ${table}\ndelete table ${table}\n`)
    .join("");

const tables = (instance: string, families: readonly Family[]) =>
  families.map((family) =>
    family === "ipv4"
      ? { table: `ip ${tableName(instance)}`, rules: body }
      : { table: `ip6 ${tableName(instance)}`, rules: otherFamilyBody },
  );
