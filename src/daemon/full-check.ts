/** The safety net: when everything is compared with the kernel, for what no notification told. */

/** So long after the last comparison with everything, */
const afterMs = 60_000;
/** and so many times as long as that took, so that it takes 2 % of the time at most, with any number of tenants. */
const rest = 49;
/**
 * After a repair that has looked at some tenants only: somebody may have changed more, such as maps, which tell nobody. So
 * seldom, too, because notifications were lost: somebody may be making more of them than can be told, without end.
 */
const doubtfulAfterMs = 5_000;
/** and so many times as long as a comparison takes. */
const doubtfulRest = 4;

export class FullCheck {
  private timer: NodeJS.Timeout | undefined;
  /** Of the last comparison. */
  private tookMs = 0;
  /** As `performance.now()`. */
  private dueMs = Number.POSITIVE_INFINITY;
  private hasLost = false;
  /** The comparison that was asked for last is for notifications that were lost. */
  private isForLost = false;
  /** Of the next comparison for that, as `performance.now()`. */
  private lostNotBeforeMs = 0;

  /** @param due called when it is time; then not again until it is told that everything has been compared */
  constructor(private readonly due: (why: string) => void) {
    this.compared(0);
  }

  /** Everything has been compared, which took so long. */
  compared(tookMs: number): void {
    this.tookMs = tookMs;
    this.dueMs = Number.POSITIVE_INFINITY;
    if (this.isForLost) this.lostNotBeforeMs = performance.now() + this.doubtfulMs;
    this.isForLost = false;
    this.comeIn(Math.max(afterMs, rest * tookMs));
    if (this.hasLost) this.lost(); // meanwhile
  }

  /** Something was amiss, and not everything has been compared. */
  doubt(): void {
    this.comeIn(this.doubtfulMs);
  }

  /** Notifications were lost: at once the first time. */
  lost(): void {
    this.hasLost = true;
    this.comeIn(Math.max(0, this.lostNotBeforeMs - performance.now()));
  }

  /** Whether something may have happened that nobody was told of, and that no comparison has found yet. */
  get isDoubtful(): boolean {
    return this.hasLost || this.isForLost;
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  private get doubtfulMs(): number {
    return Math.max(doubtfulAfterMs, doubtfulRest * this.tookMs);
  }

  /** Unless it comes before that anyway. */
  private comeIn(delayMs: number): void {
    const dueMs = performance.now() + delayMs;
    if (dueMs >= this.dueMs) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.isForLost = this.hasLost;
      this.hasLost = false;
      this.due(this.isForLost ? "notifications lost" : "full check");
    }, delayMs);
    this.dueMs = dueMs;
  }
}
