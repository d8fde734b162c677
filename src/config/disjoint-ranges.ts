import type { Range } from "../model/desired.js";

/** Ranges that do not overlap, each with something that it is of; found by halving. */
export class DisjointRanges<T> {
  /** By where they begin. */
  private readonly held: { readonly range: Range; readonly of: T }[] = [];

  /** @returns one that the range overlaps, in which case it is not added */
  add(range: Range, of: T): { readonly range: Range; readonly of: T } | undefined {
    let [low, high] = [0, this.held.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.held[middle]?.range.from ?? 0) <= range.to) low = middle + 1;
      else high = middle;
    }
    const before = this.held[low - 1];
    if (before && before.range.to >= range.from) return before;
    this.held.splice(low, 0, { range, of });
    return undefined;
  }
}
