/** Why something is done, for the log: each reason once, and no more than a few, however often somebody causes it. */

export class Reasons {
  private readonly named = new Set<string>();
  private others = 0;

  constructor(private readonly namedMax = 20) {}

  add(...reasons: readonly string[]): void {
    for (const reason of reasons)
      if (this.named.has(reason)) continue;
      else if (this.named.size < this.namedMax) this.named.add(reason);
      else this.others++;
  }

  get isEmpty(): boolean {
    return this.named.size === 0;
  }

  list(): string[] {
    return this.others === 0 ? [...this.named] : [...this.named, `and others, ${this.others} times`];
  }
}
