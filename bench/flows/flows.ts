/** What it costs to look at a full flow table with `xgw flow`. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Figure, Section } from "../section.js";
import type { Costs, ListCost } from "./child.js";

const child = fileURLToPath(new URL("child.js", import.meta.url));

/** @param lines of the flow table, all of them in use */
export function measureFlows(lines: number): Costs {
  const command = ["--net", process.execPath, "--expose-gc", child, String(lines)];
  return JSON.parse(execFileSync("unshare", command, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }));
}

function listFigures(name: string, at: string, { cpuSeconds, seconds, extraMib }: ListCost): Figure[] {
  return [
    { name: `${name}, CPU`, at, value: cpuSeconds, unit: "s", better: "less" },
    { name: `${name}, by the clock`, at, value: seconds, unit: "s", better: "neither" },
    { name: `${name}, memory`, at, value: extraMib, unit: "MiB", better: "less" },
  ];
}

const [listed, watched] = [1_048_576, 524_288];
/** Of `xgw flow top`, by default. */
const intervalSeconds = 2;

export const flows: Section = {
  id: "flows",
  title: "Looking at flows",
  run: async () => {
    const [list, top] = [measureFlows(listed), measureFlows(watched)];
    const at = `${listed.toLocaleString("en")} lines`;
    const share = (ms: number) => ms / (10 * intervalSeconds);
    const topFigure = (name: string, ms: number): Figure => ({
      name: `flow top, a look, ${name}`,
      at: `${watched.toLocaleString("en")} lines`,
      value: ms,
      unit: "ms",
      better: "less",
    });
    const gate = (name: string, wanted: number, unit: string, measured: number) => ({ name, wanted, unit, measured });
    return {
      text: [
        "The code of `xgw flow` over a pinned flow table that the program that moves flows has filled, in a process of its own. " +
          "A connection is two lines. Filtered: all lines are looked at, by network and port, and 20 rows are kept, those with " +
          "the most packets. All: every connection is made a row of JSON. Memory is the most that the process had beyond what " +
          "it had before; the table itself is the kernel's, and is not copied. A look of `flow top` is one pass over the " +
          "table: at rest, and when every line has counted a packet since the last one.",
      ],
      figures: [
        ...listFigures("flow list, filtered", at, list.filtered),
        ...listFigures("flow list, all as JSON", at, list.all),
        topFigure("at rest", top.topAtRestMs),
        topFigure("all lines active", top.topAllActiveMs),
      ],
      gates: [
        gate(`flow list, filtered, ${at}: CPU`, 2, "s", list.filtered.cpuSeconds),
        gate(`flow list, filtered, ${at}: memory`, 50, "MiB", list.filtered.extraMib),
        gate(`flow list, all, ${at}: memory`, 50, "MiB", list.all.extraMib),
        gate(
          `flow top every ${intervalSeconds} s, all of ${watched.toLocaleString("en")} lines active`,
          2,
          "% of a CPU",
          share(top.topAllActiveMs),
        ),
      ],
      plots: {},
    };
  },
};
