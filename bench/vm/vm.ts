/** The whole gateway on a kernel that has all of it, in the VM: XDP beside flowtable beside plain netfilter. */
import { spawnSync } from "node:child_process";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { runInVm } from "../../vm/run.js";
import type { Gate } from "../gates.js";
import { pinnedCpu } from "../pinned.js";
import type { Figure, Section } from "../section.js";
import { spreadOf } from "../stats.js";
import {
  flowsAt,
  type GuestResults,
  guestEfforts,
  resultMark,
  type Series,
  seriesNames,
  sizes,
  tenantsAt,
} from "./shape.js";

const guest = fileURLToPath(new URL("./guest.js", import.meta.url));
const timeoutMs = { quick: 600_000, full: 1_200_000 };
/** The CPU of the guest that the measurement is held to. */
const guestCpu = "1";

/** The VM may use all CPUs, while this process is held to one. */
async function onAllCpus<T>(work: () => Promise<T>): Promise<T> {
  const pin = (list: string) => spawnSync("taskset", ["-apc", list, String(process.pid)], { stdio: "ignore" });
  const cpu = pinnedCpu();
  if (cpu !== undefined) pin(`0-${cpus().length - 1}`);
  try {
    return await work();
  } finally {
    if (cpu !== undefined) pin(cpu);
  }
}

/** Emulated CPUs may trip over code that the kernel patches: a guest that crashes is no word on xgw's speed. */
const attempts = 3;

class GuestCrash extends Error {}

async function measureInVm(effort: "quick" | "full", say: (line: string) => void): Promise<GuestResults> {
  for (let attempt = 1; ; attempt++)
    try {
      return await runGuest(effort, say);
    } catch (error) {
      if (attempt === attempts || !(error instanceof GuestCrash)) throw error;
      say(`once more, because ${(error as Error).message}`);
    }
}

async function runGuest(effort: "quick" | "full", say: (line: string) => void): Promise<GuestResults> {
  let output = "";
  const { ended, exitCode, consoleTail } = await onAllCpus(() =>
    runInVm({
      command: [process.execPath, guest, effort],
      env: { XGW_BENCH_PINNED: guestCpu },
      timeoutMs: timeoutMs[effort],
      log: say,
      onStdout: (data) => {
        output += data.toString();
      },
      onStderr: (data) => {
        for (const line of data.toString().split("\n")) if (line.trim() !== "") say(line);
      },
    }),
  );
  const line = output.split("\n").find((candidate) => candidate.startsWith(resultMark));
  if (line === undefined)
    throw new (ended === "crash" ? GuestCrash : Error)(
      `the guest gave no results (${ended}, status ${exitCode}): ${consoleTail.slice(-500)}`,
    );
  return JSON.parse(line.slice(resultMark.length)) as GuestResults;
}

/** Emulated times mean nothing by themselves, so figures are ratios, round by round. */
class Rounds {
  constructor(private readonly all: readonly Series[]) {}

  times(name: string, at: string): readonly number[] {
    return this.all.find((series) => series.name === name && series.at === at)?.times ?? [];
  }

  /** The ratio of the least times; its spread is that of the rounds' ratios. Undefined where one was not measured. */
  ratio(
    name: string,
    at: string,
    [above, aboveAt]: readonly [string, string],
    [below, belowAt]: readonly [string, string],
    better: Figure["better"],
  ): Figure | undefined {
    const [a, b] = [this.times(above, aboveAt), this.times(below, belowAt)];
    if (a.length === 0 || b.length === 0) return undefined;
    const spread = spreadOf(a.map((ns, round) => ns / (b[round] ?? Number.NaN)));
    return { name, at, value: Math.min(...a) / Math.min(...b), unit: "×", better, spread };
  }
}

const figureNames = {
  flowtable: "flowtable ÷ XDP, time a packet",
  netfilter: "plain netfilter ÷ XDP, time a packet",
  hot: "XDP, a hot flow: ÷ that with 1 tenant",
  slow: "slow path, a new connection: ÷ that with 1 tenant",
  flows: "XDP: ÷ that with 1 flow",
  learner: "a new connection: with ÷ without the learner",
  connection: "a new connection ÷ three packets of XDP",
} as const;

function figuresOf({ series, births }: GuestResults, tenants: readonly number[], flows: readonly number[]): Figure[] {
  const rounds = new Rounds(series);
  const { xdp, flowtable, stack, connection, unlearned } = seriesNames;
  const at = [sizes.small, sizes.bulk, ...flows.filter((count) => count > 1).map(flowsAt)];
  const one = tenantsAt(1);
  const figures = [
    ...at.map((where) => rounds.ratio(figureNames.flowtable, where, [flowtable, where], [xdp, where], "more")),
    ...at.map((where) => rounds.ratio(figureNames.netfilter, where, [stack, where], [xdp, where], "more")),
    ...tenants.map((count) =>
      rounds.ratio(figureNames.hot, tenantsAt(count), [xdp, tenantsAt(count)], [xdp, one], "less"),
    ),
    ...tenants.map((count) =>
      rounds.ratio(figureNames.slow, tenantsAt(count), [connection, tenantsAt(count)], [connection, one], "less"),
    ),
    ...flows
      .filter((count) => count > 1)
      .map((count) =>
        rounds.ratio(figureNames.flows, flowsAt(count), [xdp, flowsAt(count)], [xdp, sizes.small], "less"),
      ),
    rounds.ratio(figureNames.learner, one, [connection, one], [unlearned, one], "less"),
    rounds.ratio(figureNames.connection, one, [connection, one], [xdp, sizes.small], "neither"),
  ].filter((figure) => figure !== undefined);
  const perSecond = (name: string): Figure => {
    const spread = spreadOf(rounds.times(name, one).map((ns) => 1e9 / ns));
    return { name: `${name}: emulated`, at: one, value: spread.max, unit: "/s", better: "neither", spread };
  };
  const packets = spreadOf(births.map((birth) => birth.packets));
  const ms = spreadOf(births.map((birth) => birth.ms));
  return [
    ...figures,
    perSecond(connection),
    perSecond(unlearned),
    {
      name: "packet each way that XDP is first to carry",
      value: packets.median,
      unit: "",
      better: "less",
      spread: packets,
    },
    { name: "first packet until then: emulated", value: ms.min, unit: "ms", better: "neither", spread: ms },
  ];
}

function gatesOf(figures: readonly Figure[]): Gate[] {
  const of = (name: string, at: string) => figures.find((figure) => figure.name === name && figure.at === at)?.value;
  const gate = (name: string, wanted: number, measured: number | undefined, atLeast = false): Gate => ({
    name: `VM: ${name}`,
    wanted,
    unit: "×",
    atLeast,
    measured,
  });
  const most = tenantsAt(4000);
  return [
    gate("flowtable ÷ XDP, small packets", 2, of(figureNames.flowtable, sizes.small), true),
    gate("XDP, a hot flow: 4,000 tenants ÷ 1", 1.1, of(figureNames.hot, most)),
    gate("slow path: 4,000 tenants ÷ 1", 1.2, of(figureNames.slow, most)),
  ];
}

function text(results: GuestResults): string[] {
  return [
    `Linux ${results.kernel} in the VM, which has no hardware of its own and here may be emulated instruction by ` +
      "instruction: so ratios only, of least times, with the spread of the rounds' ratios beside. Emulation knows no " +
      "caches, and makes dear what hardware does cheaply and the other way round.",
    "Gateways are made by `xgw apply`, each in a namespace of its own: one as it is, and in some turns without XDP and " +
      "learner, so that its flowtable carries all; one without these and without a flowtable; one for each number of tenants. " +
      "All get the same live frames (UDP in GRE with a key; small: 26 bytes of payload, bulk: 1,400), in turn. All must come " +
      "out again, and the gateways' counters must say that it was the tier meant that carried them. Times are of the whole " +
      "way, from the generator to the sink.",
    "A new connection is a packet to, one fro and one to, all by the slow path: policy, NAT, conntrack and what the learner " +
      "makes of it. The flows are those of one tenant in the middle of the list.",
  ];
}

export const vm: Section = {
  id: "vm",
  title: "The whole gateway, in a VM",
  run: async ({ effort, say }) => {
    const results = await measureInVm(effort, say);
    const { tenants, flows } = guestEfforts[effort];
    const figures = figuresOf(results, tenants, flows);
    const value = (name: string, at: string) =>
      figures.find((figure) => figure.name === name && figure.at === at)?.value;
    const at = [sizes.small, sizes.bulk, ...flows.filter((count) => count > 1).map(flowsAt)];
    const plots = {
      tiers: {
        title: "Time a packet over that of XDP (emulated)",
        unit: "×",
        categories: at,
        series: [figureNames.flowtable, figureNames.netfilter].map((name) => ({
          name,
          values: at.map((where) => value(name, where)),
        })),
      },
      tenants: {
        title: "What tenants cost: time over that with one (emulated)",
        unit: "×",
        categories: tenants.map(tenantsAt),
        series: [figureNames.hot, figureNames.slow].map((name) => ({
          name,
          values: tenants.map((count) => value(name, tenantsAt(count))),
        })),
      },
    };
    return { text: text(results), figures, gates: gatesOf(figures), plots };
  },
};
