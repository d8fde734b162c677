/** Two result files side by side. */
import type { Result } from "./measure.js";
import { names } from "./names.js";
import type { Results } from "./results.js";
import { type Figure, hasFailed } from "./section.js";

/** What both machines do alike: their change is the machine's, not the program's. */
const yardsticks: readonly string[] = [names.parse, names.hash, names.line, names.devmap];
/** Slower by this factor and by this many nanoseconds is worth a look: the kernel's clock counts whole nanoseconds. */
const tolerance = { factor: 1.1, ns: 3 };

export interface Change {
  readonly name: string;
  /** What it was measured at, such as the number of flows. */
  readonly at: string;
  readonly unit: string;
  readonly before: number;
  readonly after: number;
  readonly verdict: "slower" | "faster" | "same" | "yardstick";
}

/** Those that both have. Slower only when the whole middle half of the rounds moved, not just the least one. */
export function compare(before: Results, after: Results): Change[] {
  return [...comparePrograms(before, after), ...compareSections(before, after)];
}

function comparePrograms(before: Results, after: Results): Change[] {
  return after.programs.flatMap((now) => {
    const then = before.programs.find(({ name, flows }) => name === now.name && flows === now.flows);
    if (!then) return [];
    const at = now.flows.toLocaleString("en");
    const change = { name: now.name, at, unit: "ns", before: then.least, after: now.least };
    return [{ ...change, verdict: yardsticks.includes(now.name) ? "yardstick" : judge(then, now) }];
  });
}

function judge(then: Result, now: Result): Change["verdict"] {
  const more = (a: number, b: number) => b > a * tolerance.factor && b - a >= tolerance.ns;
  if (more(then.least, now.least) && now.net.q1 > then.net.q3) return "slower";
  if (more(now.least, then.least) && then.net.q1 > now.net.q3) return "faster";
  return "same";
}

function compareSections(before: Results, after: Results): Change[] {
  return Object.entries(after.sections ?? {}).flatMap(([id, section]) => {
    const earlier = before.sections?.[id];
    if (!earlier || hasFailed(earlier) || hasFailed(section)) return [];
    return section.figures.flatMap((now) => {
      const then = earlier.figures.find(({ name, at }) => name === now.name && at === now.at);
      if (!then) return [];
      const change = { name: now.name, at: now.at ?? "", unit: now.unit, before: then.value, after: now.value };
      return [{ ...change, verdict: judgeFigure(then, now) }];
    });
  });
}

/** The middle halves of the rounds, where there were rounds, must lie apart. */
function judgeFigure(then: Figure, now: Figure): Change["verdict"] {
  if (now.better === "neither") return "yardstick";
  const [low, high] = [then, now].sort((a, b) => a.value - b.value);
  if (!low || !high || high.value <= low.value * tolerance.factor) return "same";
  if (low.spread && high.spread && high.spread.q1 <= low.spread.q3) return "same";
  return (high === now) === (now.better === "less") ? "slower" : "faster";
}

const cell = (value: number) => (Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3))));

export function formatChanges(changes: readonly Change[]): string {
  const rows = changes.map(({ name, at, unit, before, after, verdict }) => {
    const flag = { slower: "SLOWER", faster: "faster", same: "", yardstick: "(yardstick)" }[verdict];
    const columns = [at.padStart(18), cell(before).padStart(10), cell(after).padStart(10), ` ${unit}`.padEnd(7)];
    return `${name.padEnd(44)}${columns.join("")} ${flag}`.trimEnd();
  });
  return [`${"".padEnd(44)}${"at".padStart(18)}${"before".padStart(10)}${"after".padStart(10)}`, ...rows, ""].join(
    "\n",
  );
}
