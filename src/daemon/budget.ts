/** A budget for each who asks for work: a leaky bucket. Who has spent more than the credit waits, and nobody else does. */
export class Budget<Name> {
  /** When time will have paid everything off, as `performance.now()`. */
  private readonly paidOffMs = new Map<Name, number>();
  /** Names, after which those that owe nothing are looked for. */
  private sweepAt = 64;

  /** @param creditMs what may be owed by who still need not wait; a millisecond pays off a millisecond */
  constructor(private readonly creditMs: number) {}

  /** Afterwards the name owes so much more. */
  spend(name: Name, costMs: number): void {
    const nowMs = performance.now();
    this.paidOffMs.set(name, Math.max(this.paidOffMs.get(name) ?? 0, nowMs) + costMs);
    if (this.paidOffMs.size > this.sweepAt) this.sweep(nowMs);
  }

  /** From when on the name need not wait, as `performance.now()`. */
  freeAtMs(name: Name): number {
    const paidOffMs = this.paidOffMs.get(name);
    return paidOffMs === undefined ? 0 : paidOffMs - this.creditMs;
  }

  /** Names that are remembered: those that owe something, and as many again at most. */
  get size(): number {
    return this.paidOffMs.size;
  }

  private sweep(nowMs: number): void {
    for (const [name, paidOffMs] of this.paidOffMs) if (paidOffMs <= nowMs) this.paidOffMs.delete(name);
    this.sweepAt = Math.max(64, 2 * this.paidOffMs.size);
  }
}
