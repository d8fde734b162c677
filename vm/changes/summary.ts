/** What all seeds came to, and whether it is enough to say anything. */

import type { SeedResult } from "./run.js";

export interface ChangesReport {
  readonly kernel: string;
  readonly seeds: readonly SeedResult[];
  /** What broke a seed off. */
  readonly errors: readonly string[];
}

/** Of all packets at least so many must leave both gateways, and so many by XDP, or there is nothing to compare. */
const least = { arrived: 0.3, byXdp: 0.15 } as const;

/** What a run came to, in words, and what is wrong with it. */
export function summarize({ kernel, seeds, errors }: ChangesReport): {
  readonly lines: string[];
  readonly faults: string[];
} {
  const changes = seeds.flatMap((seed) => seed.changes);
  const times = changes.flatMap(({ rightAfterMs }) => rightAfterMs ?? []).sort((a, b) => a - b);
  const quantile = (share: number) =>
    Math.round(times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? 0);
  const mismatches = seeds.reduce((total, seed) => total + seed.faults.length, 0);
  const failed = seeds.filter((seed) => seed.faults.length > 0).map(({ seed }) => seed);
  const sum = (of: "packets" | "arrived" | "byXdp" | "refusedByLearnedMtu") =>
    seeds.reduce((total, seed) => total + seed[of], 0);
  const [packets, arrived, byXdp] = [sum("packets"), sum("arrived"), sum("byXdp")];
  return {
    lines: [
      `right after, ms: median ${quantile(0.5)}, 90 % ${quantile(0.9)}, 99 % ${quantile(0.99)}, at most ${quantile(1)}`,
      `${changes.length} changes over ${seeds.length} seeds on ${kernel}, ${packets} packets, of which ${arrived} left, ` +
        `${byXdp} by XDP, ${sum("refusedByLearnedMtu")} refused for a path MTU that is no more: ${mismatches} mismatches${failed.length > 0 ? ` (seeds ${failed.join(", ")})` : ""}`,
    ],
    faults: [
      ...errors,
      ...(mismatches > 0 ? [`${mismatches} mismatches`] : []),
      ...(arrived < packets * least.arrived ? [`of ${packets} packets only ${arrived} left`] : []),
      ...(byXdp < packets * least.byXdp ? [`of ${packets} packets XDP sent only ${byXdp}`] : []),
    ],
  };
}
