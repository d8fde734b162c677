/** A gateway in the best of health, to which each test does one thing. */

import { noLosses } from "../../../src/datapath/shares.js";
import type { Finding } from "../../../src/finding.js";
import { examine } from "../../../src/health/checks.js";
import type { Counters, NicState, Snapshot } from "../../../src/health/snapshot.js";
import type { DroppingChain } from "../../../src/kernel/base-chains.js";
import type { Link } from "../../../src/kernel/rtnetlink.js";
import { desiredOf, exampleText } from "../plan/fixture.js";

export const desired = await desiredOf(await exampleText());
export const [nicName] = desired.nics.map(({ name }) => name) as [string];

export const link = (name: string, more: Partial<Link> = {}): Link => ({
  ifindex: 2,
  name,
  isUp: true,
  mtu: 1500,
  group: 0,
  ...more,
});

export const nic: NicState = {
  device: nicName,
  mode: "native",
  progId: 7,
  isOurs: true,
  hasLink: true,
  features: { active: new Set(["rx-gro"]), changeable: new Set(["rx-gro", "rx-lro"]) },
  interrupts: [
    { irq: 30, cpus: "0" },
    { irq: 31, cpus: "1" },
  ],
};

export const counters: Counters = {
  atMs: 100_000,
  unsent: new Map([[nicName, 0]]),
  conntrackDrops: 0,
  conntrackEarlyDrops: 0,
  neighbourOverflows: 0,
  losses: noLosses,
};

export const well: Snapshot = {
  desired,
  host: { release: "6.12.1", missing: [], hasBpffs: true, cpus: 4 },
  links: [link(nicName)],
  addresses: [{ device: nicName, address: desired.underlay.address, prefixLength: 24 }],
  nics: [nic],
  droppingChains: [],
  legacyTables: [],
  conntrack: { entries: 10, max: 1000, earlyDrops: 0, drops: 0, insertFailures: 0 },
  neighbours: { entries: 10, max: 1000, overflows: 0 },
  tables: [
    { name: "flows", used: 10, places: 1000 },
    { name: "templates", used: 10, places: 1000 },
    { name: "rules", used: 10, places: 1000 },
  ],
  counters,
  earlier: { ...counters, atMs: 40_000 },
  inTheWay: [],
  comparison: { pending: 0, isBoundaryOpen: false },
  daemon: { state: "answers", isConfigRefused: false, problems: [] },
};

/** What is found once these parts are otherwise. */
export const found = (parts: Partial<Snapshot>): Finding[] => examine({ ...well, ...parts });

/** The same in short: severity, id and subject. */
export const named = (parts: Partial<Snapshot>): string[] =>
  found(parts).map(({ severity, id, subject }) => `${severity} ${id} ${subject}`.trim());

export const chain = (more: Partial<DroppingChain> = {}): DroppingChain => ({
  family: "ip",
  table: "filter",
  chain: "FORWARD",
  hook: "forward",
  rules: Buffer.alloc(0),
  ...more,
});
