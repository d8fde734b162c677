/**
 * The fewest prefixes of which a longest-prefix match gives each number its value: Draves, King, Venkatachary and Zill,
 * "Constructing Optimal IP Routing Tables" (INFOCOM 1999). Pure.
 */

import type { Range } from "../model/desired.js";

/** Numbers of one value. */
export interface Stretch<T> {
  readonly range: Range;
  readonly value: T;
}

export interface Prefix<T> {
  /** The lowest number of it. */
  readonly from: number;
  /** Leading bits that count. */
  readonly bits: number;
  readonly value: T;
}

/** A node of the binary tree over all numbers, down to where all is one value. */
export interface Node<T> {
  readonly from: number;
  readonly bits: number;
  /** Values that the node can have at the cost of the fewest prefixes below it. */
  readonly candidates: readonly T[];
  readonly children: readonly Node<T>[];
}

/**
 * The prefixes for ordered, disjoint stretches.
 *
 * @param width bits of a number
 * @param otherwise the value of what no stretch has, and of what no prefix matches
 */
export function fewestPrefixes<T>(stretches: readonly Stretch<T>[], width: number, otherwise: T): Prefix<T>[] {
  return assign(treeOf(stretches, width, otherwise), otherwise);
}

/** The prefixes that together are a range and nothing else. */
export function prefixesOf({ from: first, to: last }: Range, width: number): Omit<Prefix<never>, "value">[] {
  const prefixes: Omit<Prefix<never>, "value">[] = [];
  for (let from = first; from <= last; ) {
    let size = 1;
    while (size < 2 ** width && from % (size * 2) === 0 && from + size * 2 - 1 <= last) size *= 2;
    prefixes.push({ from, bits: width - Math.log2(size) });
    from += size;
  }
  return prefixes;
}

export function treeOf<T>(stretches: readonly Stretch<T>[], width: number, otherwise: T, from = 0, bits = 0): Node<T> {
  const size = 2 ** (width - bits);
  const last = from + size - 1;
  const inside = stretches.filter(({ range }) => range.from <= last && range.to >= from);
  const [first] = inside;
  if (first === undefined) return { from, bits, candidates: [otherwise], children: [] };
  if (first.range.from <= from && first.range.to >= last)
    return { from, bits, candidates: [first.value], children: [] };
  const children = [from, from + size / 2].map((start) => treeOf(inside, width, otherwise, start, bits + 1));
  return { from, bits, candidates: candidatesOf(children), children };
}

/** Values that all children can have; if there is none, one child has to differ, whichever. */
export function candidatesOf<T>(children: readonly Node<T>[]): T[] {
  const [first, ...others] = children.map(({ candidates }) => candidates);
  const common = (first ?? []).filter((value) => others.every((other) => other.includes(value)));
  return common.length > 0 ? common : [...new Set(children.flatMap(({ candidates }) => candidates))];
}

/** Goes down the tree and writes a prefix wherever the value that is in force so far will not do. */
export function assign<T>(node: Node<T>, inForce: T): Prefix<T>[] {
  const fits = node.candidates.includes(inForce);
  const value = fits ? inForce : (node.candidates[0] as T);
  return [
    ...(fits ? [] : [{ from: node.from, bits: node.bits, value }]),
    ...node.children.flatMap((child) => assign(child, value)),
  ];
}
