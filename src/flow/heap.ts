/** The greatest few of many, in memory for the few only. */

interface Weighed<T> {
  readonly weight: number;
  readonly item: T;
}

export class TopHeap<T> {
  /** The least one first; each is no greater than those at twice its place, and one or two further. */
  readonly #items: Weighed<T>[] = [];

  constructor(readonly limit: number) {}

  /** What is not heavier than this is not kept. */
  get least(): number {
    if (this.limit === 0) return Number.POSITIVE_INFINITY;
    return this.#items.length < this.limit ? Number.NEGATIVE_INFINITY : (this.#items[0]?.weight ?? 0);
  }

  /** Whether something of this weight would be kept. */
  admits(weight: number): boolean {
    return weight > this.least;
  }

  add(weight: number, item: T): void {
    if (!this.admits(weight)) return;
    if (this.#items.length < this.limit) this.#rise({ weight, item });
    else this.#sink({ weight, item });
  }

  /** The greatest first. */
  sorted(): T[] {
    return [...this.#items].sort((a, b) => b.weight - a.weight).map(({ item }) => item);
  }

  #rise(added: Weighed<T>): void {
    let at = this.#items.push(added) - 1;
    for (; at > 0; at = (at - 1) >> 1) {
      const above = this.#items[(at - 1) >> 1] as Weighed<T>;
      if (above.weight <= added.weight) break;
      this.#items[at] = above;
    }
    this.#items[at] = added;
  }

  /** In the place of the least one. */
  #sink(added: Weighed<T>): void {
    const items = this.#items;
    let at = 0;
    for (;;) {
      let next = 2 * at + 1;
      if (next >= items.length) break;
      if ((items[next + 1]?.weight ?? Infinity) < (items[next] as Weighed<T>).weight) next++;
      if ((items[next] as Weighed<T>).weight >= added.weight) break;
      items[at] = items[next] as Weighed<T>;
      at = next;
    }
    items[at] = added;
  }
}
