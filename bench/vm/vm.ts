/** The whole gateway on a kernel that has all of it, in the VM: XDP beside flowtable beside plain netfilter. */
import { fileURLToPath } from "node:url";
import { runInVm } from "../../vm/run.js";
import { onAllCpus } from "../pinned.js";
import type { Section } from "../section.js";
import { figureNames, figuresOf, gatesOf } from "./figures.js";
import { type GuestResults, guestEfforts, openAt, resultMark, sizes, tenantsAt } from "./shape.js";

const guest = fileURLToPath(new URL("./guest.js", import.meta.url));
const timeoutMs = { quick: 900_000, full: 1_320_000 };
/** The CPU of the guest that the measurement is held to. */
const guestCpu = "1";

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
      cpus: 2,
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
  const whole = output.slice(0, output.lastIndexOf("\n"));
  const line = whole.split("\n").findLast((candidate) => candidate.startsWith(resultMark));
  if (line !== undefined && exitCode !== 0) say(`the guest did not get to its end (${ended})`);
  if (line === undefined)
    throw new (ended === "crash" ? GuestCrash : Error)(
      `the guest gave no results (${ended}, status ${exitCode}): ${consoleTail.slice(-500)}`,
    );
  return JSON.parse(line.slice(resultMark.length)) as GuestResults;
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
  isSlow: true,
  run: async ({ effort, say }) => {
    const results = await measureInVm(effort, say);
    const { tenants, open } = guestEfforts[effort];
    const figures = figuresOf(results, tenants, open);
    const value = (name: string, at: string) =>
      figures.find((figure) => figure.name === name && figure.at === at)?.value;
    const at = [sizes.small, sizes.bulk, ...open.filter((count) => count > 1).map(openAt)];
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
