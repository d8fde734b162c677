/** Two result files side by side. */
import type { Result } from "./measure.js";
import { names } from "./names.js";
import type { Results } from "./results.js";

/** What both machines do alike: their change is the machine's, not the program's. */
const yardsticks: readonly string[] = [names.parse, names.hash, names.line, names.devmap];
/** Slower by this factor and by this many nanoseconds is worth a look: the kernel's clock counts whole nanoseconds. */
const tolerance = { factor: 1.1, ns: 3 };

export interface Change {
  readonly name: string;
  readonly flows: number;
  readonly before: number;
  readonly after: number;
  readonly verdict: "slower" | "faster" | "same" | "yardstick";
}

/** Those that both have. Slower only when the whole middle half of the rounds moved, not just the least one. */
export function compare(before: Results, after: Results): Change[] {
  return after.programs.flatMap((now) => {
    const then = before.programs.find(({ name, flows }) => name === now.name && flows === now.flows);
    if (!then) return [];
    const change = { name: now.name, flows: now.flows, before: then.least, after: now.least };
    return [{ ...change, verdict: yardsticks.includes(now.name) ? "yardstick" : judge(then, now) }];
  });
}

function judge(then: Result, now: Result): Change["verdict"] {
  const more = (a: number, b: number) => b > a * tolerance.factor && b - a >= tolerance.ns;
  if (more(then.least, now.least) && now.net.q1 > then.net.q3) return "slower";
  if (more(now.least, then.least) && then.net.q1 > now.net.q3) return "faster";
  return "same";
}

export function formatChanges(changes: readonly Change[]): string {
  const rows = changes.map(({ name, flows, before, after, verdict }) => {
    const flag = { slower: "SLOWER", faster: "faster", same: "", yardstick: "(yardstick)" }[verdict];
    const columns = [
      flows.toLocaleString("en").padStart(10),
      before.toFixed(0).padStart(8),
      after.toFixed(0).padStart(8),
    ];
    return `${name.padEnd(34)}${columns.join("")}  ${flag}`.trimEnd();
  });
  return [`${"ns, net".padEnd(34)}     flows  before   after`, ...rows, ""].join("\n");
}
