/** All that the checks look at, as of one moment: plain data. */

import type { XdpState } from "../datapath/attachments.js";
import type { Losses } from "../datapath/usage.js";
import type { Finding } from "../finding.js";
import type { DroppingChain } from "../kernel/base-chains.js";
import type { Interrupt } from "../kernel/interrupts.js";
import type { NeighbourTable } from "../kernel/neighbour-table.js";
import type { InterfaceAddress, Link } from "../kernel/rtnetlink.js";
import type { Features } from "../kernel/tag-offload.js";
import type { Desired } from "../model/desired.js";
import type { Conntrack } from "../observe/kernel-tables.js";
import type { Comparison, Daemon } from "./surroundings.js";

export interface Snapshot extends Observed {
  /** The counters of some time before; without them nobody can tell what is going on from what is over. */
  readonly earlier?: Counters | undefined;
  readonly comparison?: Comparison | undefined;
  readonly daemon?: Daemon | undefined;
}

/** What one look at the kernel shows. */
export interface Observed {
  readonly desired: Desired;
  readonly host: Host;
  readonly links: readonly Link[];
  readonly addresses: readonly InterfaceAddress[];
  /** Of each NIC of the config that is there. */
  readonly nics: readonly NicState[];
  readonly droppingChains: readonly DroppingChain[];
  /** Tables of iptables-legacy. */
  readonly legacyTables: readonly string[];
  readonly conntrack: Conntrack;
  readonly neighbours?: NeighbourTable | undefined;
  /** Of the data path's tables, whoever's the places are. */
  readonly tables: readonly TableUse[];
  readonly counters: Counters;
  /** What `plan` and `apply` warn of. */
  readonly inTheWay: readonly Finding[];
}

export interface Host {
  /** As `uname -r` has it. */
  readonly release: string;
  /** Why the kernel is too old; undefined when it is not. */
  readonly tooOld?: string | undefined;
  /** What the kernel lacks, or has not loaded. */
  readonly missing: readonly string[];
  readonly hasBpffs: boolean;
  readonly cpus: number;
}

export interface NicState extends XdpState {
  readonly features?: Features | undefined;
  readonly interrupts: readonly Interrupt[];
}

export interface TableUse {
  readonly name: "flows" | "templates" | "rules";
  readonly used: number;
  readonly places: number;
}

/** All of them only grow, until programs or the machine begin anew. */
export interface Counters {
  /** When they were read, as `performance.now()`. */
  readonly atMs: number;
  /** Packets that XDP has sent and the NIC has not, by NIC. */
  readonly unsent: ReadonlyMap<string, number>;
  readonly conntrackDrops: number;
  readonly conntrackEarlyDrops: number;
  readonly neighbourOverflows: number;
  /** Of all tenants together. */
  readonly losses: Losses;
}
