/** One benchmark run. */
import { cpus } from "node:os";
import { inLanes } from "../vm/lanes.js";
import { measureBindings } from "./bindings.js";
import { prepare } from "./cases.js";
import { macs, service } from "./frame.js";
import { Generator } from "./generator.js";
import { describeMachine } from "./machine.js";
import { efforts, measure } from "./measure.js";
import { openPeer, type Peer } from "./peer.js";
import { format, type Results } from "./results.js";
import { openRoads } from "./roads.js";
import { runSection, type Section, type SectionFailure, type SectionReport } from "./section.js";
import { sections } from "./sections.js";

export interface RunOptions {
  readonly effort: keyof typeof efforts;
  readonly peers: boolean;
  /** Undefined: all parts. */
  readonly only?: readonly string[] | undefined;
  say(line: string): void;
}

async function peerIfThere({ peers, say }: RunOptions): Promise<Peer | undefined> {
  if (!peers) return undefined;
  try {
    return await openPeer(`${service.address}/32`, macs.gateway);
  } catch (error) {
    say(`without xdp-forward: ${(error as Error).message}`);
    return undefined;
  }
}

async function measurePrograms(options: RunOptions, seconds: () => number) {
  const { effort, say } = options;
  const peer = await peerIfThere(options);
  const roads = openRoads();
  const generator = new Generator();
  try {
    const bench = prepare(generator, peer, roads);
    try {
      const { rounds } = efforts[effort];
      const programs = measure(generator, bench.empty, bench.cases, efforts[effort], (round) =>
        say(`round ${round + 1} of ${rounds}, ${seconds()} s`),
      );
      return { programs, peers: peer ? { "xdp-tools": peer.version } : {} };
    } finally {
      bench.close();
    }
  } finally {
    generator.close();
    roads.close();
    peer?.close();
  }
}

export async function run(options: RunOptions): Promise<Results> {
  const { effort, only, say } = options;
  const started = performance.now();
  const seconds = () => Math.round((performance.now() - started) / 1000);
  const wants = (part: string) => only?.includes(part) ?? true;
  const machine = describeMachine();
  const measured = wants("programs") ? await measurePrograms(options, seconds) : { programs: [], peers: {} };
  if (wants("bindings")) say(`libbpf-ts beside C, ${seconds()} s`);
  const bindings = wants("bindings") ? { bindings: measureBindings(efforts[effort].bindingRounds) } : {};
  const reports: Record<string, SectionReport | SectionFailure> = {};
  const runOne = async (section: Section) => {
    say(`${section.title}, ${seconds()} s`);
    reports[section.id] = await runSection(section, { effort, say: (line) => say(`${section.id}: ${line}`) });
  };
  const wanted = sections.filter(({ id, isSlow }) => wants(id) && (effort === "full" || !isSlow || only));
  for (const section of wanted.filter(({ isSlow }) => !isSlow)) await runOne(section);
  // Each keeps one CPU busy, and compares with itself only.
  await inLanes(
    wanted.filter(({ isSlow }) => isSlow),
    cpus().length > 1 ? 2 : 1,
    runOne,
  );
  return {
    format,
    date: new Date().toISOString(),
    effort,
    seconds: seconds(),
    machine,
    ...measured,
    ...bindings,
    sections: Object.fromEntries(wanted.flatMap(({ id }) => (reports[id] ? [[id, reports[id]]] : []))),
  };
}
