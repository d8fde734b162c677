/** Two gateways through one seed's changes, and what was seen of the flows after each. */

import { setTimeout as sleep } from "node:timers/promises";
import { isSentByXdp } from "../frames/frame.js";
import { stream } from "../frames/stream.js";
import { type Change, drawChange } from "./changes.js";
import { type Flow, lengths, Numbers, open, packetOf, type Side } from "./flows.js";
import { answerOf, judge, leftFor, type Probe } from "./judge.js";
import { refusesByLearnedMtu } from "./learned-mtu.js";
import { drawTenants } from "./site.js";
import { Twin } from "./twin.js";
import { type Departure, World } from "./world.js";

export interface SeedOptions {
  readonly seed: number;
  readonly changes: number;
}

export interface ChangeResult {
  readonly name: string;
  readonly story: string;
  readonly hasDaemon: boolean;
  /** Of the side and length that took longest; undefined: some did not go right at all. */
  readonly rightAfterMs: number | undefined;
}

export interface SeedResult {
  readonly seed: number;
  readonly changes: readonly ChangeResult[];
  readonly packets: number;
  /** Of the packets, those that left both gateways. */
  readonly arrived: number;
  /** Of these, those that XDP sent; of plain ones nothing tells. */
  readonly byXdp: number;
  /** Those that the reference refused for a path MTU that is no more. */
  readonly refusedByLearnedMtu: number;
  readonly faults: readonly string[];
  readonly seconds: number;
}

/** From then on everything goes where it goes without XDP: an emulated kernel is slow. */
export const limitMs = process.env.XGW_IN_VM === undefined ? 1000 : 3000;
/** So long all must have been right for a change to be over, and so long at most it is looked at. */
const quietMs = 1200;
const lookedAtMs = { least: 2000, most: 15_000 } as const;
const pauseMs = 60;
const flowsAtFirst = 8;
const flowsMost = 10;

export async function runSeed({ seed, changes }: SeedOptions, folder: string): Promise<SeedResult> {
  const world = new World(drawTenants(stream(seed, "tenants")));
  const twins = [
    await Twin.start("slow", true, world, folder, seed),
    await Twin.start("fast", false, world, folder, seed),
  ] as const;
  try {
    return await new Run(seed, world, twins).run(changes);
  } finally {
    for (const twin of twins) await twin.stop();
  }
}

class Run {
  private readonly numbers = new Numbers();
  private flows: Flow[] = [];
  private opened = 0;
  private packets = 0;
  private arrived = 0;
  private byXdp = 0;
  private refusedByLearnedMtu = 0;
  private readonly faults: string[] = [];

  constructor(
    private readonly seed: number,
    private readonly world: World,
    private readonly twins: readonly [slow: Twin, fast: Twin],
  ) {}

  private both = (work: (twin: Twin) => Promise<void>) => Promise.all(this.twins.map(work));

  async run(count: number): Promise<SeedResult> {
    const began = performance.now();
    await this.both((twin) => twin.write(this.world.tenants));
    await this.both((twin) => twin.apply());
    for (let n = 0; n < flowsAtFirst; n++) await this.open();
    if (this.flows.length < flowsAtFirst / 2)
      this.faults.push(`seed ${this.seed}: only ${this.flows.length} of ${flowsAtFirst} connections can be made`);
    await this.look(undefined);
    const results: ChangeResult[] = [];
    for (let number = 1; number <= count; number++) results.push(await this.change(number));
    const { seed, packets, arrived, byXdp, refusedByLearnedMtu, faults } = this;
    const seconds = (performance.now() - began) / 1000;
    return { seed, changes: results, packets, arrived, byXdp, refusedByLearnedMtu, faults, seconds };
  }

  private async open(): Promise<void> {
    const number = this.opened++;
    const flow = open(this.world, this.twins, stream(this.seed, "flow", number), number, this.numbers);
    if (flow) this.flows = [...this.flows.slice(1 - flowsMost), flow];
    await sleep(0);
  }

  private async change(number: number): Promise<ChangeResult> {
    const [, fast] = this.twins;
    const random = stream(this.seed, "change", number);
    const change = drawChange({ random, world: this.world, flows: this.flows, hasDaemon: fast.hasDaemon });
    const { name, story, isConfig = false } = change;
    change.world?.();
    const begun = performance.now();
    await this.carryOut(change);
    if (isConfig) await this.putInForce();
    const rightAfterMs = await this.look({ number, change, begun: isConfig ? performance.now() : begun });
    await this.open();
    return { name, story, hasDaemon: fast.hasDaemon, rightAfterMs };
  }

  /** The daemon is the second gateway's only, which is the other one's as well when it is asked to apply. */
  private async carryOut(change: Change): Promise<void> {
    const [, fast] = this.twins;
    if (change.name.startsWith("daemon")) await change.gateway(fast);
    else await this.both(change.gateway);
  }

  private async putInForce(): Promise<void> {
    const [slow, fast] = this.twins;
    await Promise.all([slow.apply(), fast.hasDaemon ? fast.settled(2500) : fast.apply()]);
    await fast.hurry();
  }

  /** Sends on all flows until all has been right for a while; nothing is held against anybody before the first change. */
  private async look(
    after: { number: number; change: Change; begun: number } | undefined,
  ): Promise<number | undefined> {
    const begun = after?.begun ?? performance.now();
    const probes = new Map<string, { side: Side; probes: Probe[] }>();
    const { kernelMs = 0, leastMs = 0, rounds = 0 } = after?.change ?? {};
    let rightSince = performance.now();
    let allowedMs = kernelMs;
    for (;;) {
      const round = performance.now();
      for (const [flow, { sides }] of this.flows.entries())
        for (const [at, side] of sides.entries())
          for (const length of lengths) {
            const probe = await this.probe(side, sides, length, begun);
            const name = `${flow} ${at} ${length}`;
            const known = probes.get(name) ?? { side, probes: [] };
            known.probes.push(probe);
            probes.set(name, known);
            if (probe.seen !== probe.reference) rightSince = performance.now();
          }
      await sleep(pauseMs);
      const now = performance.now();
      const isQuiet = rightSince <= round && now - rightSince > quietMs; // a round may take longer than that
      const isOver = isQuiet && now - begun > Math.max(lookedAtMs.least, leastMs);
      allowedMs = Math.max(allowedMs, kernelMs + rounds * (now - round));
      if (isOver || now - begun > lookedAtMs.most + allowedMs) break;
    }
    let slowest: number | undefined = 0;
    for (const { side, probes: some } of probes.values()) {
      const { rightAfterMs, lastWrong } = judge(some);
      slowest = rightAfterMs === undefined || slowest === undefined ? undefined : Math.max(slowest, rightAfterMs);
      if (rightAfterMs !== undefined && rightAfterMs <= limitMs + allowedMs) continue;
      const when = rightAfterMs === undefined ? "not right at all" : `right after ${Math.round(rightAfterMs)} ms`;
      const what = after ? `change ${after.number}, ${after.change.story}` : "at first";
      this.faults.push(
        [
          `seed ${this.seed}, ${what}${this.twins[1].hasDaemon ? ", with a daemon" : ""}: ${when}: ${side.name}`,
          ...["reference", "seen"].map((which) => `  ${which}: ${lastWrong?.[which as "reference" | "seen"]}`),
        ].join("\n"),
      );
    }
    return slowest;
  }

  private async probe(side: Side, sides: Flow["sides"], length: number, begun: number): Promise<Probe> {
    const number = this.numbers.next();
    const packet = packetOf(this.world, side, number, length);
    const atMs = performance.now() - begun;
    const [before, after] = this.twins.map((twin) => leftFor(number, twin.send(packet))) as [Departure[], Departure[]];
    const reference = answerOf(before);
    const isRefused =
      reference === "nothing" && (await refusesByLearnedMtu(this.twins[0], this.world, sides, after, length));
    const seen = isRefused ? reference : answerOf(after);
    this.packets++;
    if (isRefused) this.refusedByLearnedMtu++;
    if (after.some(({ frame }) => isSentByXdp(frame))) this.byXdp++;
    if (reference !== "nothing" && seen !== "nothing") this.arrived++;
    return { atMs, reference, seen };
  }
}
