/**
 * Policy rules, which are read in order and the first match decides, compiled into disjoint cells, where order means
 * nothing. The kernel and BPF look cells up by interval; nobody below this file walks a list of rules.
 */

import type { PolicyCell, Range } from "./desired.js";

/** One rule as the config gives it, its words already turned into ranges. */
export interface PolicyRule {
  readonly verdict: "allow" | "deny";
  /** IP protocol numbers; 0 to 255 for any. */
  readonly protocol: Range;
  /** Far side's addresses. */
  readonly address: Range;
  /** Destination ports; one whole range where the rule names none. At least one. */
  readonly ports: readonly Range[];
}

export const anyProtocol: Range = { from: 0, to: 255 };
export const anyPort: Range = { from: 0, to: 65_535 };

/** A compiled policy larger than this is refused: it would take the kernel seconds to load. */
export const maxPolicyCells = 16_384;

/** Thrown when a policy compiles to more than `maxPolicyCells` cells. */
export class PolicyTooLargeError extends RangeError {
  constructor() {
    super(`the policy needs more than ${maxPolicyCells} disjoint cells`);
    this.name = "PolicyTooLargeError";
  }
}

/**
 * The cells of a rule list. What no rule matches has no cell, and is denied by that; a deny cell exists only where a
 * rule says so, so that a drop can be counted under its rule. Every cell with less than all ports is TCP or UDP as long
 * as every such rule is, because boxes are cut by protocol first and by port last.
 */
export function compilePolicy(rules: readonly PolicyRule[]): PolicyCell[] {
  const cells: PolicyCell[] = [];
  for (const [index, rule] of rules.entries()) {
    const fresh: PolicyCell[] = [];
    for (const port of rule.ports) {
      let parts: Box[] = [{ protocol: rule.protocol, address: rule.address, port }];
      for (const earlier of [cells, fresh].flat()) {
        if (parts.length === 0) break;
        parts = parts.flatMap((part) => subtract(part, earlier));
      }
      for (const part of parts) fresh.push({ ...part, verdict: rule.verdict, rule: index });
      if (cells.length + fresh.length > maxPolicyCells) throw new PolicyTooLargeError();
    }
    cells.push(...mergeNeighbours(fresh));
  }
  return cells.sort(byPosition);
}

/** A cell without its meaning. */
type Box = Pick<PolicyCell, "protocol" | "address" | "port">;
type Dimension = keyof Box;

const dimensions: readonly Dimension[] = ["protocol", "address", "port"];

function overlaps(a: Range, b: Range): boolean {
  return a.from <= b.to && b.from <= a.to;
}

/** What of `box` lies outside `hole`: at most two slices a dimension, and nothing changed when they do not meet. */
function subtract(box: Box, hole: Box): Box[] {
  if (!dimensions.every((dimension) => overlaps(box[dimension], hole[dimension]))) return [box];
  const outside: Box[] = [];
  let rest = box;
  for (const dimension of dimensions) {
    const { from, to } = rest[dimension];
    const cut = hole[dimension];
    if (from < cut.from) outside.push({ ...rest, [dimension]: { from, to: cut.from - 1 } });
    if (to > cut.to) outside.push({ ...rest, [dimension]: { from: cut.to + 1, to } });
    rest = { ...rest, [dimension]: { from: Math.max(from, cut.from), to: Math.min(to, cut.to) } };
  }
  return outside;
}

/** Joins cells of one rule that touch along one dimension and agree in the other two, until none do. */
function mergeNeighbours(cells: PolicyCell[]): PolicyCell[] {
  let merged = cells;
  let before: number;
  do {
    before = merged.length;
    for (const dimension of dimensions) merged = mergeAlong(dimension, merged);
  } while (merged.length < before);
  return merged;
}

function mergeAlong(dimension: Dimension, cells: readonly PolicyCell[]): PolicyCell[] {
  const others = dimensions.filter((other) => other !== dimension);
  const rows = new Map<string, PolicyCell[]>();
  for (const cell of cells) {
    const key = others.map((other) => `${cell[other].from}-${cell[other].to}`).join(",");
    const row = rows.get(key);
    if (row) row.push(cell);
    else rows.set(key, [cell]);
  }
  const merged: PolicyCell[] = [];
  for (const row of rows.values()) {
    row.sort((a, b) => a[dimension].from - b[dimension].from);
    let open: PolicyCell | undefined;
    for (const cell of row) {
      if (open && open[dimension].to + 1 === cell[dimension].from) {
        open = { ...open, [dimension]: { from: open[dimension].from, to: cell[dimension].to } };
      } else {
        if (open) merged.push(open);
        open = cell;
      }
    }
    if (open) merged.push(open);
  }
  return merged;
}

/** By protocol, address and port, so that equal policies compile to equal lists. */
function byPosition(a: PolicyCell, b: PolicyCell): number {
  return a.protocol.from - b.protocol.from || a.address.from - b.address.from || a.port.from - b.port.from;
}
