/** What the figures must show. A gate compares minima, and figures of one run only. */
import { names, templateCounts } from "./names.js";
import type { Results } from "./results.js";
import { hasFailed } from "./section.js";

export interface Gate {
  readonly name: string;
  readonly wanted: number;
  /** Wanted is a least, not a most. */
  readonly atLeast?: boolean;
  readonly unit: string;
  /** Undefined: not measured in this run. */
  readonly measured: number | undefined;
}

export function isMet({ measured, wanted, atLeast }: Gate): boolean {
  return measured !== undefined && (atLeast ? measured >= wanted : measured <= wanted);
}

/** Such as "≤ 40 ns". */
export function wish({ wanted, unit, atLeast }: Gate): string {
  return `${atLeast ? "≥" : "≤"} ${wanted} ${unit}`;
}

const many = 1_048_576;

export function gatesOf(results: Pick<Results, "programs" | "bindings" | "sections">): Gate[] {
  const sections = Object.values(results.sections ?? {});
  return [...programGates(results), ...sections.flatMap((section) => (hasFailed(section) ? [] : section.gates))];
}

function programGates({ programs: results, bindings }: Pick<Results, "programs" | "bindings">): Gate[] {
  if (results.length === 0) return [];
  const least = (name: string, flows: number) =>
    results.find((result) => result.name === name && result.flows === flows)?.least;
  const ratio = (a: number | undefined, b: number | undefined) =>
    a === undefined || b === undefined || b <= 0 ? undefined : a / b;
  const tcp = (flows: number) => least(names.establishedTcp, flows);
  const udp = (flows: number) => least(names.establishedUdp, flows);
  const extra = [tcp, udp].map((of) => (of(many) ?? Number.NaN) - (of(1) ?? Number.NaN));
  // The template and the tenant's generation are a hot line each.
  const parts = [names.parse, names.table, names.line, names.line, names.rewrite, names.counter].map((name) =>
    least(name, 1),
  );
  const primitives = parts.reduce<number>((sum, part) => sum + (part ?? Number.NaN), 0);
  const gate = (name: string, wanted: number, unit: Gate["unit"], measured: number | undefined): Gate => ({
    name,
    wanted,
    unit,
    measured: Number.isNaN(measured) ? undefined : measured,
  });
  return [
    gate("established GRE→GRE, TCP, 1 flow", 40, "ns", tcp(1)),
    gate("established GRE→GRE, UDP, 1 flow", 40, "ns", udp(1)),
    gate("established plain→GRE, TCP, 1 flow", 55, "ns", least(names.fromUplinkTcp, 1)),
    gate("established plain→GRE, UDP, 1 flow", 55, "ns", least(names.fromUplinkUdp, 1)),
    gate("established GRE→plain, UDP, 1 flow", 55, "ns", least(names.toUplinkUdp, 1)),
    gate("TCP, 1 flow ÷ the sum of its primitives", 1.8, "×", ratio(tcp(1), primitives)),
    gate("TCP, (1,048,576 flows − 1 flow) ÷ one cold line", 1.6, "×", ratio(extra[0], least(names.line, many))),
    gate("UDP, (1,048,576 flows − 1 flow) ÷ one cold line", 1.6, "×", ratio(extra[1], least(names.line, many))),
    gate("TCP, 1,048,576 flows ÷ the same over a stock HASH", 0.6, "×", ratio(tcp(many), least(names.stockTcp, many))),
    gate("UDP, 1 flow: 4,096 tenants ÷ 1", 1.1, "×", ratio(least(names.oneOfMany, 1), udp(1))),
    // Of the most there is a figure only.
    ...templateCounts.slice(0, -1).map((templates) => {
      const [asked, unasked] = [names.waysAsked(templates), names.waysUnasked(templates)].map((name) =>
        least(name, 65_536),
      );
      return gate(
        `UDP, ${templates.toLocaleString("en")} templates: ways asked for ÷ not`,
        1.1,
        "×",
        ratio(asked, unasked),
      );
    }),
    gate("TCP, 1 flow ÷ xdp-forward fib-full", 0.4, "×", ratio(tcp(1), least(names.xdpForward, 1))),
    gate("unknown key, dropped", 20, "ns", least(names.unknownKey, 1)),
    gate(
      "unknown key, dropped: a monitor listens ÷ none",
      1.05,
      "×",
      ratio(least(names.monitoredDrop, 1), least(names.unknownKey, 1)),
    ),
    gate("stranger, dropped", 20, "ns", least(names.stranger, 1)),
    gate("libbpf-ts, batch update of 1,000,000 entries ÷ C", 2, "×", bindings?.ratio.batchUpdate),
    gate("libbpf-ts, batch read of 1,000,000 entries ÷ C", 2, "×", bindings?.ratio.batchRead),
  ];
}
