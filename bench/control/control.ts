/** The control plane in the VM: what a config costs to put in force, and a change of one tenant beside many others. */
import { fileURLToPath } from "node:url";
import { quietMs } from "../../src/daemon/checks.js";
import { runInVm } from "../../vm/run.js";
import { onAllCpus } from "../pinned.js";
import type { Figure, Section, SectionContext } from "../section.js";
import { type Spread, spreadOf } from "../stats.js";
import { perTenant } from "./config.js";
import { type ControlResults, controlMark } from "./shape.js";

const guest = fileURLToPath(new URL("./guest.js", import.meta.url));
const timeoutMs = { quick: 600_000, full: 2_400_000 };
/** Of the gates: a change of one tenant among many ÷ among few. */
const many = 4000;
const few = 100;

async function measureInVm({ effort, say }: SectionContext): Promise<ControlResults[]> {
  let output = "";
  const { ended, exitCode, consoleTail } = await onAllCpus(() =>
    runInVm({
      command: [process.execPath, guest, effort],
      timeoutMs: timeoutMs[effort],
      memoryMiB: 6144,
      cpus: 2,
      log: say,
      onStdout: (data) => {
        output += data.toString();
      },
      onStderr: (data) => {
        for (const line of data.toString().split("\n")) if (line.trim() !== "") say(line);
      },
    }),
  );
  const lines = output.split("\n").filter((line) => line.startsWith(controlMark));
  if (lines.length === 0)
    throw new Error(`the guest gave no results (${ended}, status ${exitCode}): ${consoleTail.slice(-500)}`);
  if (exitCode !== 0) say(`the guest did not get to its end (${ended})`);
  return lines.map((line) => JSON.parse(line.slice(controlMark.length)) as ControlResults);
}

const at = (tenants: number) => `${tenants.toLocaleString("en")} tenant${tenants > 1 ? "s" : ""}`;

function figuresOf(result: ControlResults): Figure[] {
  const where = at(result.tenants);
  const figure = (name: string, value: number, unit: string, spread?: Spread): Figure => ({
    name,
    at: where,
    value,
    unit,
    better: "less",
    ...(spread ? { spread } : {}),
  });
  const rounds = (name: string, values: readonly number[]) =>
    figure(name, Math.min(...values), "ms, emulated", spreadOf(values));
  return [
    figure("reading the config", result.loadMs, "ms, emulated"),
    figure("first start: reading, and putting all in force", result.firstApplyMs, "ms, emulated"),
    figure("apply with nothing to do", result.noopApplyMs, "ms, emulated"),
    rounds("a change of one tenant", result.changeMs),
    rounds("a new tenant", result.newMs),
    rounds("a repair of one tenant", result.repairMs),
    figure("start where all is right: reading, and comparing all", result.restartMs, "ms, emulated"),
    figure("memory of the daemon", result.memoryMiB, "MiB"),
    figure("idle daemon, of one CPU", Math.min(...result.idlePercent), "%, emulated", spreadOf(result.idlePercent)),
  ];
}

/** Whether it grows with the number of tenants; none when not both sizes were measured. */
function ratioOf(
  results: readonly ControlResults[],
  what: string,
  timesOf: (result: ControlResults) => readonly number[],
): Figure[] {
  const [large, small] = [many, few].map((size) => {
    const result = results.find(({ tenants }) => tenants === size);
    return result ? timesOf(result) : [];
  }) as [readonly number[], readonly number[]];
  if (large.length === 0 || small.length === 0) return [];
  return [
    {
      name: `${what}: ÷ that among ${few} tenants`,
      at: at(many),
      value: Math.min(...large) / Math.min(...small),
      unit: "×",
      better: "less",
      spread: spreadOf(large.map((ms, round) => ms / (small[round] ?? Number.NaN))),
    },
  ];
}

export const control: Section = {
  id: "control",
  title: "The control plane",
  isSlow: true,
  async run(context) {
    const results = await measureInVm(context);
    const change = ratioOf(results, "a change of one tenant", ({ changeMs }) => changeMs);
    const added = ratioOf(results, "a new tenant", ({ newMs }) => newMs);
    const repair = ratioOf(results, "a repair of one tenant, without the wait", ({ repairMs }) =>
      repairMs.map((ms) => ms - quietMs),
    );
    const sizes = results.map(({ tenants }) => at(tenants));
    return {
      text: [
        `Gateways with ${sizes.join(", ")} in the VM; each tenant has ${perTenant.routes} routes, ${perTenant.publicIps} public addresses, ${perTenant.policies} policy rules, and a file of its own. All times are of an emulated machine: compare them with each other only.`,
        `A change is an edit of one rule in one tenant's file under the running daemon, a new tenant a file more: from the daemon's turning to it until the kernel has it. A repair is of a route that somebody deletes: from the kernel's notification until the route is back, which includes the ${quietMs} ms for which the daemon waits for more of the same. The full comparison, which the daemon makes at most 2 % of the time, takes as long as an apply with nothing to do.`,
      ],
      figures: [...results.flatMap(figuresOf), ...change, ...added, ...repair],
      gates: [
        {
          name: `a change of one tenant: ${many.toLocaleString("en")} tenants ÷ ${few}`,
          wanted: 1.5,
          unit: "×",
          measured: change[0]?.value,
        },
        {
          name: `a new tenant: ${many.toLocaleString("en")} tenants ÷ ${few}`,
          wanted: 1.5,
          unit: "×",
          measured: added[0]?.value,
        },
      ],
      plots: {
        control: {
          title: "Control plane, seconds of an emulated machine",
          unit: "s",
          categories: sizes,
          series: [
            { name: "first start", values: results.map(({ firstApplyMs }) => firstApplyMs / 1000) },
            { name: "nothing to do", values: results.map(({ noopApplyMs }) => noopApplyMs / 1000) },
            { name: "one tenant changed", values: results.map(({ changeMs }) => Math.min(...changeMs) / 1000) },
            { name: "one tenant added", values: results.map(({ newMs }) => Math.min(...newMs) / 1000) },
            { name: "one tenant repaired", values: results.map(({ repairMs }) => Math.min(...repairMs) / 1000) },
          ],
        },
      },
    };
  },
};
