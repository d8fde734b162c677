/** Chains of whoever's that drop what none of their rules lets through, read by netlink (linux/netfilter/nf_tables.h). */

import { readFileSync } from "node:fs";
import { type Attributes, attribute, BpfError, NetlinkSocket } from "libbpf-ts";
import { netfilter } from "./netfilter.js";
import { nftSubsystem, ofTable } from "./nftables.js";

export type HookName = "prerouting" | "input" | "forward" | "output" | "postrouting";

export interface DroppingChain {
  /** As nft names it: packets of IPv4 meet both. */
  readonly family: "ip" | "inet";
  readonly table: string;
  readonly chain: string;
  readonly hook: HookName;
  /** Expressions of all rules of its table, as the kernel has them: a rule may jump to any other chain of the table. */
  readonly rules: Buffer;
}

/** NFT_MSG_GETTABLE, _GETCHAIN and _GETRULE. */
const asks = { tables: 1, chains: 4, rules: 7 } as const;
/** `struct nfgenmsg` of no family: all of them answer. */
const ofAll = Buffer.alloc(4);
/** NFPROTO_INET, NFPROTO_IPV4. */
const families: Readonly<Record<number, DroppingChain["family"]>> = { 1: "inet", 2: "ip" };
/** By enum nf_inet_hooks. */
const hooks: readonly HookName[] = ["prerouting", "input", "forward", "output", "postrouting"];
/** NFTA_TABLE_FLAGS, NFTA_CHAIN_*, NFTA_HOOK_HOOKNUM, NFTA_RULE_EXPRESSIONS. */
const ofTables = { flags: 2 } as const;
const ofChain = { name: 3, hook: 4, policy: 5 } as const;
const ofHook = { number: 1 } as const;
const ofRule = { expressions: 4 } as const;
/** NFT_TABLE_F_DORMANT, NF_DROP. */
const dormant = 1;
const drop = 0;

const ask = (what: number, header: Buffer, ...attributes: readonly Buffer[]) => ({
  type: (nftSubsystem << 8) | what,
  body: Buffer.concat([header, ...attributes]),
});

/** Those in force, in all tables. On a kernel without nft tables there are none. */
export function readDroppingChains(): DroppingChain[] {
  using socket = new NetlinkSocket(netfilter);
  const all = <T>(what: number, toItem: (family: number, attributes: Attributes) => T | undefined) =>
    socket.collect(ask(what, ofAll), ofAll.length, (header, attributes) => toItem(header.readUInt8(0), attributes));
  try {
    const asleep = new Set(
      all(asks.tables, (family, one) =>
        (one.bytes(ofTables.flags)?.readUInt32BE() ?? 0) & dormant ? `${family} ${one.text(ofTable)}` : undefined,
      ),
    );
    const chains = all(asks.chains, (number, one) => {
      const [family, hook] = [
        families[number],
        hooks[one.nested(ofChain.hook)?.bytes(ofHook.number)?.readUInt32BE() ?? -1],
      ];
      const table = one.text(ofTable) ?? "";
      if (!family || !hook || one.bytes(ofChain.policy)?.readUInt32BE() !== drop || asleep.has(`${number} ${table}`))
        return undefined;
      return { number, family, table, chain: one.text(ofChain.name) ?? "", hook };
    });
    return chains.map(({ number, ...chain }) => ({ ...chain, rules: rulesOf(socket, number, chain.table) }));
  } catch (error) {
    if (error instanceof BpfError && error.code === "EINVAL") return []; // nfnetlink knows no such subsystem
    throw error;
  }
}

function rulesOf(socket: NetlinkSocket, family: number, table: string): Buffer {
  const asked = ask(asks.rules, Buffer.from([family, 0, 0, 0]), attribute(ofTable, Buffer.from(`${table}\0`)));
  return Buffer.concat(
    socket.collect(asked, ofAll.length, (_, one) =>
      one.text(ofTable) === table ? one.bytes(ofRule.expressions) : undefined,
    ),
  );
}

/** Tables of iptables-legacy that are in force here: of their policies and rules no netlink tells. */
export function readLegacyTables(): string[] {
  try {
    return readFileSync("/proc/thread-self/net/ip_tables_names", "utf8").split("\n").filter(Boolean);
  } catch {
    return []; // the module is not there, or this process may not look
  }
}
