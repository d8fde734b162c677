/** Interleaved rounds: each visits every case once, so that what disturbs the machine disturbs all of them. */
import type { BpfProgram } from "libbpf-ts";
import type { Generator, Traffic } from "./generator.js";
import { type Spread, spreadOf } from "./stats.js";

export interface Case {
  readonly name: string;
  readonly program: BpfProgram;
  readonly traffic: Traffic;
  readonly verdict: number;
  /** Says what is wrong with the first packet that comes out. */
  readonly fault?: (packet: Buffer, number: number) => string | undefined;
  /** For the kernel's `struct xdp_md`. */
  readonly context?: Buffer;
  /** Where the devices of the context are. */
  readonly within?: <T>(work: () => T) => T;
}

const here = <T>(work: () => T): T => work();

export interface Result {
  readonly name: string;
  readonly flows: number;
  /** Nanoseconds a packet, without the generator's: the least total less the least baseline. For gates. */
  readonly least: number;
  /** The same, round by round. */
  readonly net: Spread;
  readonly total: Spread;
  readonly baseline: Spread;
}

export interface Effort {
  /** Of the comparison of libbpf-ts with C. */
  readonly bindingRounds: number;
  readonly rounds: number;
  /** Packets a run, at least one for each flow visited up to 65,536. */
  readonly packets: number;
  /** Runs of program and baseline in a round, of which the least disturbed counts. */
  readonly runs: number;
}

export const efforts = {
  quick: { rounds: 11, packets: 65_536, runs: 2, bindingRounds: 1 },
  full: { rounds: 11, packets: 262_144, runs: 4, bindingRounds: 5 },
} satisfies Record<string, Effort>;

function check(generator: Generator, test: Case): void {
  generator.aim(test.program);
  generator.set(test.traffic);
  const { retval, packet } = (test.within ?? here)(() => generator.run(test.traffic, 1, test.context));
  if (retval !== test.verdict) throw new Error(`${test.name}: verdict ${retval}, not ${test.verdict}`);
  const fault = test.fault?.(packet, generator.number);
  if (fault) throw new Error(`${test.name}: ${fault} is wrong in ${packet.toString("hex")}`);
}

export function measure(
  generator: Generator,
  empty: BpfProgram,
  cases: readonly Case[],
  effort: Effort,
  onRound: (round: number) => void,
): Result[] {
  for (const test of cases) check(generator, test);
  const nets = cases.map(() => [] as number[]);
  const totals = cases.map(() => [] as number[]);
  const baselines = cases.map(() => [] as number[]);
  for (let round = 0; round < effort.rounds; round++) {
    onRound(round);
    cases.forEach((test, index) => {
      const { total, baseline } = (test.within ?? here)(() => runOnce(generator, empty, test, effort));
      totals[index]?.push(total);
      baselines[index]?.push(baseline);
      nets[index]?.push(total - baseline);
    });
  }
  return cases.map((test, index) => {
    const total = spreadOf(totals[index] ?? []);
    const baseline = spreadOf(baselines[index] ?? []);
    const net = spreadOf(nets[index] ?? []);
    return { name: test.name, flows: test.traffic.flows, least: total.min - baseline.min, net, total, baseline };
  });
}

function runOnce(generator: Generator, empty: BpfProgram, test: Case, effort: Effort) {
  const warm = Math.min(65_536, Math.max(test.traffic.flows, 1024));
  const packets = Math.max(effort.packets, warm);
  let [total, baseline] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  generator.set(test.traffic, Math.floor(Math.random() * test.traffic.flows));
  generator.aim(test.program);
  generator.run(test.traffic, warm, test.context);
  for (let run = 0; run < effort.runs; run++) {
    generator.aim(test.program);
    total = Math.min(total, generator.run(test.traffic, packets, test.context).ns);
    generator.aim(empty);
    baseline = Math.min(baseline, generator.run(test.traffic, packets, test.context).ns);
  }
  return { total, baseline };
}
