/** The differential test: three passes over the same packets, and what differed. */

import { dissect } from "../../test/bpf/support/dissect.js";
import { stream } from "../frames/stream.js";
import type { Departure } from "../lab/own-namespace.js";
import { type Comparison, judge } from "./compare.js";
import { Explainer } from "./explained.js";
import { Gateway } from "./gateway.js";
import { drawPackets, type Packet } from "./packets.js";
import { contradictions, drain, establishAll, type Outcome, sendAll } from "./pass.js";
import { drawOpenings, drawSite, linkOf, seedsOfASite } from "./site.js";

export interface SeedResult {
  readonly seed: number;
  readonly site: string;
  readonly packets: number;
  /** Packets by what they were compared to: "same", or the name of an exception. */
  readonly judged: Record<string, number>;
  /** What XDP counted in its pass. */
  readonly reasons: Record<string, number>;
  readonly mismatches: readonly string[];
  /** Packets that were explained before they were sent; undefined where none was to be. */
  readonly explained?: number | undefined;
  readonly seconds: number;
  readonly only?: readonly string[] | undefined;
}

export interface SeedOptions {
  readonly seed: number;
  readonly packets: number;
  readonly only?: readonly string[] | undefined;
  /** Each packet is explained before XDP gets it, and has to come so. */
  readonly explain?: boolean | undefined;
}

const add = (counts: Record<string, number>, name: string) => {
  counts[name] = (counts[name] ?? 0) + 1;
};

/** Site of a seed: seeds in a row live in one, for it takes long to be built. */
export const siteOf = (seed: number) => Math.floor(seed / seedsOfASite);

/** What the seeds of one site came to. */
export async function runSite(number: number, seeds: readonly SeedOptions[], folder: string): Promise<SeedResult[]> {
  const site = drawSite(stream(number, "site"), linkOf(number));
  const gateway = await Gateway.start(site, folder);
  try {
    const works = seeds.map((options) => ({ options, seconds: 0, sides: "", packets: [] as Packet[] }));
    const passes: Outcome[][][] = [];
    const reasons: Record<string, number>[] = [];
    for (const mode of modes) {
      await gateway.set(mode);
      const outcomes: Outcome[][] = [];
      for (const work of works) {
        const { seed, packets: count, only } = work.options;
        const began = performance.now();
        await drain(gateway);
        const openings = drawOpenings(site, stream(seed, "openings"), seed % seedsOfASite);
        const sides = await establishAll(gateway, openings);
        if (work.packets.length === 0) {
          work.sides = JSON.stringify(sides);
          work.packets.push(...drawPackets({ seed, count, sides, only }));
        } else if (JSON.stringify(sides) !== work.sides)
          throw new Error(`the kernel made other connections of the same first packets in seed ${seed}`);
        const before = gateway.reasons();
        using explainer = mode.xdp && work.options.explain ? new Explainer(site) : undefined;
        outcomes.push(await sendAll(gateway, work.packets, explainer));
        if (mode.xdp)
          reasons.push(
            Object.fromEntries([...gateway.reasons()].map(([name, n]) => [name, n - (before.get(name) ?? 0)])),
          );
        work.seconds += (performance.now() - began) / 1000;
      }
      passes.push(outcomes);
    }
    return works.map(({ options: { seed, only, explain }, seconds, packets }, index) => {
      const [tier3 = [], tier2 = [], seen = []] = passes.map((outcomes) => outcomes[index] ?? []);
      const judged: Record<string, number> = {};
      const mismatches: string[] = [];
      for (const [n, packet] of packets.entries()) {
        const outcomes = { tier3: tier3[n], tier2: tier2[n], seen: seen[n] };
        const comparison = { packet, ...outcomes, hasNextHops: site.routes.length > 0 } as Comparison;
        const name = judge(comparison);
        add(judged, name ?? "MISMATCH");
        if (name === undefined) mismatches.push(describe(comparison));
      }
      mismatches.push(...contradictions(packets, passes.at(-1)?.[index] ?? []));
      const explained = explain ? (passes.at(-1)?.[index] ?? []).filter(({ told }) => told).length : undefined;
      const summary = { seed, site: site.summary, packets: packets.length, judged, reasons: reasons[index] ?? {} };
      return { ...summary, mismatches, explained, seconds, only };
    });
  } finally {
    await gateway.stop();
  }
}

/** The reference first, and XDP last. */
const modes = [
  { xdp: false, flowtable: false },
  { xdp: false, flowtable: true },
  { xdp: true, flowtable: true },
] as const;

function describe({ packet, tier3, tier2, seen }: Comparison): string {
  const frames = (left: readonly Departure[]) =>
    left.length === 0
      ? ["  nothing"]
      : left.flatMap(({ wire, frame }) => dissect(frame).map((line) => `  ${wire}: ${line}`));
  return [
    `packet ${packet.number}, ${packet.story}`,
    ...packet.frames.flatMap((frame) => dissect(frame).map((line) => `  ${line}`)),
    `with XDP (${seen.reasons.join(", ") || "passed up"}):`,
    ...frames(seen.left),
    "without XDP:",
    ...frames(tier3.left),
    "without XDP, with the flowtable:",
    ...frames(tier2.left),
  ].join("\n");
}
