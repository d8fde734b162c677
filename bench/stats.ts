/** What many rounds of one measurement come to. */
export interface Spread {
  readonly min: number;
  readonly q1: number;
  readonly median: number;
  readonly q3: number;
  readonly max: number;
  readonly rounds: number;
}

/** Linear between the two nearest ranks. */
function quantile(sorted: readonly number[], fraction: number): number {
  const at = (sorted.length - 1) * fraction;
  const low = sorted[Math.floor(at)] ?? Number.NaN;
  const high = sorted[Math.ceil(at)] ?? Number.NaN;
  return low + (high - low) * (at - Math.floor(at));
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const [min, q1, median, q3, max] = [0, 0.25, 0.5, 0.75, 1].map((fraction) => quantile(sorted, fraction));
  const round = (value = Number.NaN) => Math.round(value * 100) / 100;
  return {
    min: round(min),
    q1: round(q1),
    median: round(median),
    q3: round(q3),
    max: round(max),
    rounds: values.length,
  };
}
