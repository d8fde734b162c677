/** Durations by how long they were, as Prometheus' histograms have them. */

/** Upper bounds of the buckets, seconds; longer ones are in none. */
export const durationBounds = [0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300] as const;

/** As data, for the daemon's report. */
export interface Durations {
  /** In each bucket alone, in the order of the bounds. */
  readonly counts: readonly number[];
  readonly count: number;
  /** Seconds. */
  readonly sum: number;
}

export const noDurations: Durations = { counts: durationBounds.map(() => 0), count: 0, sum: 0 };

export function withDuration({ counts, count, sum }: Durations, seconds: number): Durations {
  const bucket = durationBounds.findIndex((bound) => seconds <= bound);
  return { counts: counts.map((n, at) => (at === bucket ? n + 1 : n)), count: count + 1, sum: sum + seconds };
}
