/** The safety net: when everything is compared with the kernel, for what no notification told. */

/** So long after the last comparison with everything, */
const afterMs = 60_000;
/** and so many times as long as that took, so that it takes 2 % of the time at most, with any number of tenants. */
const rest = 49;
/** After a repair that has looked at some tenants only: somebody may have changed more, such as maps, which tell nobody. */
const doubtfulAfterMs = 5_000;
/** and so many times as long as a comparison takes. */
const doubtfulRest = 4;

export class FullCheck {
  private timer: NodeJS.Timeout | undefined;
  /** Of the last comparison. */
  private tookMs = 0;
  /** As `performance.now()`. */
  private dueMs = Number.POSITIVE_INFINITY;

  /** @param due called when it is time; then not again until it is told that everything has been compared */
  constructor(private readonly due: () => void) {
    this.compared(0);
  }

  /** Everything has been compared, which took so long. */
  compared(tookMs: number): void {
    this.tookMs = tookMs;
    this.dueMs = Number.POSITIVE_INFINITY;
    this.comeIn(Math.max(afterMs, rest * tookMs));
  }

  /** Something was amiss, and not everything has been compared. */
  doubt(): void {
    this.comeIn(Math.max(doubtfulAfterMs, doubtfulRest * this.tookMs));
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  /** Unless it comes before that anyway. */
  private comeIn(delayMs: number): void {
    const dueMs = performance.now() + delayMs;
    if (dueMs >= this.dueMs) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(this.due, delayMs);
    this.dueMs = dueMs;
  }
}
