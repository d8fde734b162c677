/** Why something is done, for the log: each reason once, and no more than a few, however often somebody causes it. */

const namedMax = 20;

export class Reasons {
  private readonly named = new Set<string>();
  private others = 0;

  add(...reasons: readonly string[]): void {
    for (const reason of reasons)
      if (this.named.has(reason)) continue;
      else if (this.named.size < namedMax) this.named.add(reason);
      else this.others++;
  }

  get isEmpty(): boolean {
    return this.named.size === 0;
  }

  list(): string[] {
    return this.others === 0 ? [...this.named] : [...this.named, `and others, ${this.others} times`];
  }
}
