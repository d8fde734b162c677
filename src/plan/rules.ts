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
import { setOfMap, shareScript, shareTypes, toShare, verdictMaps } from "./shares.js";

export const outboundMark = 0x1_0000;
export const deniedMark = 0x8000_0000;

/**
 * Bits of a packet's own mark (fwmark), by which the programs on the NICs' egress know what carried it: the stack, with
 * its connection's mark in the lower bits, or nobody, for it is the gateway's own. Packets of the flowtable pass the rules
 * by and have no mark. Enum xgw_mark in bpf/shared.h.
 */
export const packetMarks = { rule: 0x1fff_ffff, own: 0x2000_0000, stack: 0x4000_0000 } as const;

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

/** Names of the sets that tenants are elements of. */
export const elementSets = [
  "zones",
  "dnat_to",
  "forward_to",
  "forward_range",
  "snat_to",
  "shared_to",
  "segment",
  "inbound",
  "outbound",
] as const;

/** Whether a set is one of them. A map of a share is not: see `setOfMap`. */
export const isElementSet = (name: string): boolean => (elementSets as readonly string[]).includes(name);

/** Counters that the rules write: denied connections by zone and mark. */
export const counterSets = {
  deniedInbound: "denied_inbound",
  deniedOutbound: "denied_outbound",
} as const;

/** Tenants whose TCP connections conntrack must not take up in their middle, for some of them have been ended. */
export const noPickupSet = "no_pickup";

/** Whether a set is written by packets and by what ends connections, and never compared with the config. */
export const isUncompared = (name: string): boolean =>
  name === noPickupSet || (Object.values(counterSets) as readonly string[]).includes(name);

const notDenied = `ct mark & 0x80000000 == 0 ct mark != 0`;

/*
 * `ip protocol`, not `meta l4proto`, in the keys: Linux 7.2 refuses the latter there, as nft 1.0.6 writes it.
 *
 * Rules from top to bottom:
 * - assign_zone: the VRF's second pass through prerouting has nothing to add; the outer GRE packets are not tracked.
 * - own: an ICMP error of the gateway's quotes a packet after its translation. In the tenant's zone conntrack knows the
 *   connection, and gives the error back the addresses that the sender used. Nothing else that the gateway sends into a
 *   tenant is the tenant's connection.
 * - to_tenant: a range of ports that stay as they are is one element. The kernel cannot add, and would choose any port of a
 *   range that it is given, so that a range that is led to other ports is an element a port of forward_to.
 * - forward: what is established goes to the flowtable of its zone's share; those come with the first device of each.
 *   What does not come out of one of our VRFs is not ours to judge. Denied is what no rule admits. A packet from
 *   the middle of a connection that conntrack does not have may be of one that was ended: an answer of its server would
 *   begin it again, as an outbound one. Where connections were ended within a day, both ends are told instead.
 *   A SYN says what its sender can receive, so that its maximum segment size is lowered to what the tenant's tunnel carries
 *   (which it came by, or will be answered by), and to what the route that it takes carries. nft never raises it.
 * - forwarded, and the end of own: for the count of what leaves, see packetMarks. Of the gateway's own packets only those
 *   into tenants are marked.
 */
const body = `
	map zones { typeof iifname : ct zone; }
	map dnat_to { typeof ct zone . ip daddr : ip daddr; }
	map forward_to { typeof ct zone . ip daddr . ip protocol . th dport : ip daddr . th dport; }
	map snat_to { typeof ct zone . ip saddr : ip saddr; }
	map segment { typeof ct zone : tcp option maxseg size; }
	set denied_inbound { typeof ct zone . ct mark; size 65535; flags dynamic; counter; }
	set denied_outbound { typeof ct zone . ct mark; size 65535; flags dynamic; counter; }
	set ${noPickupSet} { typeof ct zone; flags timeout; timeout 1d; }
${verdictMaps}
	chain assign_zone {
		type filter hook prerouting priority raw; policy accept;
		meta iifkind "vrf" accept
		ip protocol gre notrack
		ct zone set iifname map @zones
	}
	chain own {
		type filter hook output priority raw; policy accept;
		ip protocol gre notrack
		icmp type { destination-unreachable, time-exceeded, parameter-problem } ct zone set oifname map @zones
		oifname "xvrf*" meta mark set 0x20000000
		oifname "xgre*" meta mark set 0x20000000
	}
	chain to_tenant {
		type nat hook prerouting priority dstnat; policy accept;
		dnat ip to ct zone . ip daddr . ip protocol . th dport map @forward_to
		${toShare("forward_range")}
		dnat ip to ct zone . ip daddr map @dnat_to
	}
	chain from_tenant {
		type nat hook postrouting priority srcnat; policy accept;
		snat ip to ct zone . ip saddr map @snat_to
		${toShare("shared_to")}
	}
	chain forward {
		type filter hook forward priority filter; policy accept;
		iifname != "xvrf*" accept
		tcp flags syn tcp option maxseg size set rt mtu
		tcp flags syn tcp option maxseg size set ct zone map @segment
		ct state established ip protocol { tcp, udp } ${toShare("fastpath")}
		ct state established,related accept
		ct state invalid drop
		ct zone @${noPickupSet} tcp flags & (fin | syn | rst | ack) != syn reject with tcp reset
		ct status dnat jump admit_inbound
		ct status dnat accept
		jump admit_outbound
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

/** What the keys and values of a set are made of, each in nft's words. */
export interface SetTypes {
  readonly key: readonly string[];
  /** Empty for a set that is no map. */
  readonly value: readonly string[];
}

const setTypes: ReadonlyMap<string, SetTypes> = new Map(
  [
    ...shareTypes,
    ...[...body.matchAll(/^\t(?:map|set) (\w+) \{ typeof ([^;]+);/gm)].map(
      ([, name = "", types = ""]) => [name, types] as const,
    ),
  ].map(([name, types]) => {
    const [key = "", value] = types.split(" : ");
    return [name, { key: key.split(" . "), value: value?.split(" . ") ?? [] }];
  }),
);

/** @param name of a set or map of the table, which may be a share's */
export const typesOfSet = (name: string): SetTypes | undefined => setTypes.get(setOfMap(name));

/** Changes whenever the rules do, those of a share included. */
export const rulesVersion = createHash("sha256")
  .update(body)
  .update(shareScript("", 0, []))
  .digest("hex")
  .slice(0, 12);

/** How many rules each chain of the constant part has. */
const ruleCounts: ReadonlyMap<string, number> = new Map(
  body
    .split("\tchain ")
    .map((chain) => {
      const [head = "", ...lines] = chain.slice(0, chain.indexOf("\n\t}")).split("\n");
      return [head.replace(" {", ""), lines.filter((line) => !line.startsWith("\t\ttype ")).length] as const;
    })
    .slice(1),
);

/** In the place of the version of rules of which some are missing. */
export const damagedRules = "damaged";

/** Whether no rule is missing, given the number of rules by chain. */
export const areRulesWhole = (rules: ReadonlyMap<string, number>): boolean =>
  [...ruleCounts].every(([chain, count]) => rules.get(chain) === count);

export const tableName = (instance: string) => `xgw_${instance.replaceAll("-", "_")}`;

/** An empty chain by which xgw knows its own table and the version of the rules: older ones read JSON, which lacks comments. */
const versionChain = (version: string) => `xgw_version_${version}`;

/** The version of the rules in a table with these chains; undefined for a table that xgw did not make. */
export function versionOf(chains: Iterable<string>): string | undefined {
  const prefix = versionChain("");
  return [...chains].find((name) => name.startsWith(prefix))?.slice(prefix.length);
}

/** Makes the table anew, without elements; `replace` drops an older one in the same transaction. */
export function rulesScript(instance: string, replace: boolean): string {
  const table = `ip ${tableName(instance)}`;
  return `${replace ? `delete table ${table}\n` : ""}table ${table} {\n\tchain ${versionChain(rulesVersion)} { }\n${body}}\n`;
}
