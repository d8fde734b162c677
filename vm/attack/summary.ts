/** What all seeds came to, and whether it is enough to say anything. */

import type { SeedResult } from "./run.js";

export interface AttackReport {
  readonly kernel: string;
  readonly seeds: readonly SeedResult[];
  /** What broke a site off. */
  readonly errors: readonly string[];
}

/** Of the adversary's packets at least so many must lead to something, or it has not got near anybody. */
const effectShare = 0.1;
/** Of the honest ones at least so many must arrive: an adversary may end its own tenant's connections. */
const honestShare = 0.95;

const sumOf = (of: readonly Readonly<Record<string, number>>[]): Record<string, number> => {
  const sums: Record<string, number> = {};
  for (const counts of of) for (const [name, count] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + count;
  return sums;
};

const words = (of: Readonly<Record<string, number>>): string =>
  Object.entries(of)
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");

export function summarize(report: AttackReport): { readonly lines: string[]; readonly faults: string[] } {
  const { kernel, errors } = report;
  const seeds = report.seeds.filter(({ broken }) => broken === undefined);
  const unnoticed = report.seeds.filter(({ broken, violations }) => broken !== undefined && violations.length === 0);
  const sum = (of: (result: SeedResult) => number) => seeds.reduce((total, result) => total + of(result), 0);
  const packets = sum((result) => result.packets);
  const fates = sumOf(seeds.map((result) => result.fates));
  const violations = seeds.flatMap((result) => result.violations);
  const kinds = sumOf(violations.map(({ kind }) => ({ [kind]: 1 })));
  const failed = seeds.filter((result) => result.violations.length > 0).map(({ seed }) => seed);
  const [sent, arrived] = [sum(({ honest }) => honest.sent), sum(({ honest }) => honest.arrived)];
  const effect = packets - (fates.nothing ?? 0) - (fates.host ?? 0);
  const foreign = seeds.filter(({ foreignWorks }) => !foreignWorks).map(({ seed }) => seed);
  return {
    lines: [
      ...Object.entries(kinds)
        .sort(([, a], [, b]) => b - a)
        .map(([kind, count]) => `${count} × ${kind}`),
      `by shape: ${words(sumOf(seeds.map((result) => result.shapes)))}`,
      `became: ${words(fates)}`,
      `honest: ${arrived} of ${sent} arrived, ${sum(({ honest }) => honest.ended)} connections ended by their own tenant`,
      `states: ${words(sumOf(seeds.map(({ state }) => ({ [state]: 1 }))))}; floods: ${words(sumOf(seeds.flatMap(({ flood }) => (flood ? [{ [flood]: 1 }] : []))))}`,
      `sites: ${new Set(seeds.map(({ site }) => site)).size}`,
      `${packets} packets (${sum((result) => result.frames)} frames) over ${seeds.length} seeds on ${kernel}: ` +
        `${violations.length} violations${failed.length > 0 ? ` (seeds ${failed.join(", ")})` : ""}`,
    ],
    faults: [
      ...errors,
      ...(violations.length > 0 ? [`${violations.length} violations`] : []),
      ...(effect < packets * effectShare ? [`of ${packets} packets only ${effect} led to anything`] : []),
      ...(sent === 0 || arrived < sent * honestShare ? [`of ${sent} honest packets only ${arrived} arrived`] : []),
      ...(foreign.length > 0 ? [`somebody else's tunnel did not work in seeds ${foreign.join(", ")}`] : []),
      ...unnoticed.map(({ broken }) => `a gateway broken on purpose (${broken}) was not noticed`),
    ],
  };
}
