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

/** Rules that apply, counted once for each slab of addresses: more takes seconds, and rules that decide something make fewer. */
const maxPolicyWork = 2_000_000;
/** And those of all tenants together: memory of the kernel, some 100 bytes each. */
export const maxPolicyCellsInAll = 4_194_304;

/** Thrown when a policy compiles to more than `maxPolicyCells` cells, or takes too much work to compile. */
export class PolicyTooLargeError extends RangeError {
  constructor(message = `the rules cut each other into more than ${maxPolicyCells} pieces`) {
    super(message);
    this.name = "PolicyTooLargeError";
  }
}

const tooMuchWork = () =>
  new PolicyTooLargeError(
    `too many rules overlap: counted once for each stretch of addresses in which they apply, they are more than ${maxPolicyWork}`,
  );

/**
 * The cells of a rule list. What no rule matches has no cell, and is denied by that; a deny cell exists only where a
 * rule says so, so that a drop can be counted under its rule. A protocol that no rule names with ports has cells of all
 * ports only.
 *
 * The space is cut into slabs of protocols, those into slabs of addresses, those into intervals of ports: inside a slab
 * the same rules apply everywhere, so only the innermost step has to find who comes first. Neighbours are joined again
 * on the way out. The work is the number of rules that apply, summed over the slabs of addresses.
 */
export function compilePolicy(rules: readonly PolicyRule[]): readonly PolicyCell[] {
  const known = compiledBefore.get(rules);
  if (known) return known;
  const cells = compile(rules);
  compiledBefore.set(rules, cells);
  return cells;
}

/** Of rule lists that still exist: the check of a config compiles them, and so does what is made of it. */
const compiledBefore = new WeakMap<readonly PolicyRule[], readonly PolicyCell[]>();

function compile(rules: readonly PolicyRule[]): PolicyCell[] {
  const indexed = rules.map((rule, index) => ({ ...rule, index }));
  const compiled = new Map<string, readonly Pane[]>();
  const cells: PolicyCell[] = [];
  for (const protocol of slabs(indexed.map((rule) => rule.protocol))) {
    const applicable = indexed.filter((rule) => covers(rule.protocol, protocol));
    const signature = signatureOf(applicable);
    let panes = compiled.get(signature);
    if (!panes) {
      panes = compileAddresses(applicable);
      compiled.set(signature, panes);
    }
    for (const { address, port, rule } of panes) {
      const { verdict } = rules[rule] as PolicyRule;
      cells.push({ protocol, address, port, verdict, rule });
    }
    if (cells.length > 4 * maxPolicyCells) throw new PolicyTooLargeError();
  }
  const merged = mergeNeighbours(cells);
  if (merged.length > maxPolicyCells) throw new PolicyTooLargeError();
  return merged.sort(byPosition);
}

interface IndexedRule extends PolicyRule {
  readonly index: number;
}

/** A cell of one protocol slab: addresses and ports that one rule decides. */
interface Pane {
  readonly address: Range;
  readonly port: Range;
  readonly rule: number;
}

/** A stretch of ports that one rule decides. */
interface Stretch {
  readonly port: Range;
  readonly rule: number;
}

/** The panes of rules that all apply to one protocol. */
function compileAddresses(rules: readonly IndexedRule[]): Pane[] {
  const closed: Pane[] = [];
  const known = new Map<string, readonly Stretch[]>();
  let open = new Map<string, Pane>();
  let last: number | undefined;
  let work = 0;
  const applicableAt = sweep(rules);
  for (const address of slabs(rules.map((rule) => rule.address))) {
    const applicable = applicableAt(address.from);
    work += applicable.length;
    if (work > maxPolicyWork) throw tooMuchWork();
    const signature = signatureOf(applicable);
    let stretches = known.get(signature);
    if (!stretches) {
      stretches = compilePorts(applicable);
      known.set(signature, stretches);
    }
    const adjacent = last !== undefined && last + 1 === address.from;
    const next = new Map<string, Pane>();
    for (const { port, rule } of stretches) {
      const key = `${port.from}-${port.to}:${rule}`;
      const before = adjacent ? open.get(key) : undefined;
      if (before) open.delete(key);
      next.set(key, { address: { from: before?.address.from ?? address.from, to: address.to }, port, rule });
    }
    closed.push(...open.values());
    if (closed.length > maxPolicyCells) throw new PolicyTooLargeError();
    open = next;
    last = address.to;
  }
  closed.push(...open.values());
  return closed;
}

/**
 * The rules that apply at an address, in their order. To be asked by ascending addresses that are all there is of rules' first
 * ones and of the ones behind their last; the list is good until it is asked again.
 */
function sweep(rules: readonly IndexedRule[]): (address: number) => readonly IndexedRule[] {
  const begins = groupBy(rules, (rule) => rule.address.from);
  const ends = groupBy(rules, (rule) => rule.address.to + 1);
  const active: IndexedRule[] = [];
  const placeOf = ({ index }: IndexedRule) => {
    let [low, high] = [0, active.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((active[middle] as IndexedRule).index < index) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return (address) => {
    for (const rule of ends.get(address) ?? []) active.splice(placeOf(rule), 1);
    for (const rule of begins.get(address) ?? []) active.splice(placeOf(rule), 0, rule);
    return active;
  };
}

function groupBy<T>(items: readonly T[], key: (item: T) => number): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}

/** Which of the rules decides at which ports; ports that none names are left out. */
function compilePorts(rules: readonly IndexedRule[]): Stretch[] {
  const pieces = slabs(rules.flatMap((rule) => rule.ports));
  const startOf = new Map(pieces.map((piece, at) => [piece.from, at]));
  const owners: (number | undefined)[] = pieces.map(() => undefined);
  // `nextFree[i]` is i while piece i has no owner, else a hint of where to look on.
  const nextFree = Array.from({ length: pieces.length + 1 }, (_, at) => at);
  const free = (at: number): number => {
    let found = at;
    while (nextFree[found] !== found) found = nextFree[found] as number;
    for (let hint = at; hint !== found; ) {
      const further = nextFree[hint] as number;
      nextFree[hint] = found;
      hint = further;
    }
    return found;
  };
  for (const rule of rules) {
    for (const port of rule.ports) {
      for (let at = free(startOf.get(port.from) as number); (pieces[at]?.to ?? Infinity) <= port.to; at = free(at)) {
        owners[at] = rule.index;
        nextFree[at] = at + 1;
      }
    }
  }
  return joinStretches(pieces, owners);
}

function joinStretches(pieces: readonly Range[], owners: readonly (number | undefined)[]): Stretch[] {
  const stretches: Stretch[] = [];
  for (const [at, piece] of pieces.entries()) {
    const rule = owners[at];
    if (rule === undefined) continue;
    const before = stretches.at(-1);
    if (before?.rule === rule && before.port.to + 1 === piece.from) {
      stretches[stretches.length - 1] = { rule, port: { from: before.port.from, to: piece.to } };
    } else {
      stretches.push({ rule, port: piece });
    }
  }
  return stretches;
}

/** Cuts ranges at each other's ends: the disjoint pieces from the lowest start to the highest end, in order. */
function slabs(ranges: readonly Range[]): Range[] {
  const starts = new Set(ranges.flatMap((range) => [range.from, range.to + 1]));
  const sorted = [...starts].sort((a, b) => a - b);
  return sorted.slice(0, -1).map((from, index) => ({ from, to: (sorted[index + 1] as number) - 1 }));
}

function covers(outer: Range, inner: Range): boolean {
  return outer.from <= inner.from && inner.to <= outer.to;
}

function signatureOf(rules: readonly IndexedRule[]): string {
  return rules.map((rule) => rule.index).join(",");
}

type Dimension = "protocol" | "address" | "port";

const dimensions: readonly Dimension[] = ["protocol", "address", "port"];

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
    const key = `${cell.rule}:${others.map((other) => `${cell[other].from}-${cell[other].to}`).join(",")}`;
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
