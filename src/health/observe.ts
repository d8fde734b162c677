/** One look at all that the checks want to know. Changes nothing, starts no program. */

import { availableParallelism, release } from "node:os";
import { observeXdp } from "../datapath/attachments.js";
import { kernelNames } from "../datapath/entries.js";
import { checkBpffs, Pins } from "../datapath/pins.js";
import { observeRedirectTargets } from "../datapath/redirect-targets.js";
import { noLosses } from "../datapath/shares.js";
import { readUnsent } from "../datapath/unsent.js";
import { type Losses, readLosses, readUsage } from "../datapath/usage.js";
import { KernelError } from "../errors.js";
import type { Finding } from "../finding.js";
import { readDroppingChains, readLegacyTables } from "../kernel/base-chains.js";
import { readInterrupts } from "../kernel/interrupts.js";
import { readNeighbourTable } from "../kernel/neighbour-table.js";
import { checkKernel, missingFeatures } from "../kernel/preflight.js";
import { type Link, linkNames, readAddresses, readLinks } from "../kernel/rtnetlink.js";
import { readFeatures } from "../kernel/tag-offload.js";
import { type Desired, nobody, ruleSlots, templatePlaces } from "../model/desired.js";
import { observeInTheWay } from "../observe/in-the-way.js";
import { readConntrack } from "../observe/kernel-tables.js";
import { observeTagOffloads, tagFindings } from "../observe/tag-offloads.js";
import type { Counters, Host, NicState, Observed, TableUse } from "./snapshot.js";

/** @param flows that the flow table has room for */
export function observeHealth(desired: Desired, flows: number, links: readonly Link[] = readLinks()): Observed {
  const pins = new Pins(desired.instance);
  const conntrack = readConntrack();
  const neighbours = readNeighbourTable();
  return {
    desired,
    host: observeHost(),
    links,
    addresses: readAddresses(linkNames(links)),
    nics: observeNics(pins, desired, links),
    droppingChains: readDroppingChains(),
    legacyTables: readLegacyTables(),
    conntrack,
    neighbours,
    tables: observeTables(pins, flows),
    counters: {
      atMs: performance.now(),
      unsent: unsentByNic(pins, desired),
      conntrackDrops: conntrack.drops,
      conntrackEarlyDrops: conntrack.earlyDrops,
      neighbourOverflows: neighbours?.overflows ?? 0,
      losses: lossesOfAll(pins, desired),
    },
    inTheWay: findingsInTheWay(desired, links),
  };
}

function observeHost(): Host {
  const version = release();
  const tooOld = refusal(() => checkKernel(version));
  return {
    release: version,
    ...(tooOld === undefined ? {} : { tooOld }),
    missing: missingFeatures(),
    hasBpffs: refusal(checkBpffs) === undefined,
    cpus: availableParallelism(),
  };
}

/** What a check of the host says; undefined when it is content. */
function refusal(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (error instanceof KernelError) return error.message;
    throw error;
  }
}

function observeNics(pins: Pins, { nics }: Desired, links: readonly Link[]): NicState[] {
  const byName = new Map(links.map((link) => [link.name, link]));
  const present = nics.map(({ name }) => name).filter((name) => byName.has(name));
  const features = readFeatures(present);
  return observeXdp(pins, present, kernelNames).map((state) => ({
    ...state,
    features: features.get(state.device),
    interrupts: readInterrupts(byName.get(state.device) as Link),
  }));
}

function observeTables(pins: Pins, flows: number): TableUse[] {
  const used = (table: "flow" | "encap" | "rule") => readUsage(pins, table, [nobody]).get(nobody) ?? 0;
  return [
    { name: "flows", used: used("flow"), places: flows },
    { name: "templates", used: used("encap"), places: templatePlaces },
    { name: "rules", used: used("rule"), places: ruleSlots },
  ];
}

function unsentByNic(pins: Pins, { nics }: Desired): Counters["unsent"] {
  const packets = readUnsent(pins);
  return new Map(nics.map(({ name }) => [name, packets.get(kernelNames.indexOf(name)) ?? 0]));
}

function lossesOfAll(pins: Pins, { tenants }: Desired): Losses {
  const sum = { ...noLosses } as { -readonly [K in keyof Losses]: number };
  const ids = [nobody, ...tenants.map(({ id }) => id)];
  for (const losses of readLosses(pins, ids).values())
    for (const name of Object.keys(sum) as (keyof Losses)[]) sum[name] += losses[name];
  return sum;
}

/** As `plan` finds them; of NICs that are not there nothing can be said. */
function findingsInTheWay(desired: Desired, links: readonly Link[]): Finding[] {
  const names = new Set(links.map(({ name }) => name));
  const present = { ...desired, nics: desired.nics.filter(({ name }) => names.has(name)) };
  return [
    ...observeInTheWay(present, links),
    ...tagFindings(present, links, observeTagOffloads(present, links)),
    ...observeRedirectTargets(present, links, kernelNames).findings,
  ];
}
