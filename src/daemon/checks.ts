/**
 * Comparisons with the kernel that are to be made: of some tenants, or of everything. A tenant whose things change all the
 * time is looked at at a steady rate, and so is everything: others' repairs go on in between.
 */

import type { Scope } from "../repair.js";
import { Budget } from "./budget.js";
import { Reasons } from "./reasons.js";

/** A change comes in several notifications; what follows within this time is of the same. */
export const quietMs = 100;

/** A tenant of which something changes without end is looked at every so often, */
const steadyMs = 500;
/** after so many times at once. */
const atOnceMax = 10;
/** What is beyond that waits for this tick, all of it together. */
const putOffMs = 1000;

/** What is everybody's may cost so many times as long as a comparison takes, half of the time at most, */
const everythingShare = 2;
/** and at least so much each time, milliseconds, */
const everythingLeastMs = 500;
/** after so much at once. */
const everythingCreditMs = 3000;

export interface Check {
  readonly why: readonly string[];
  /** All that has to be compared; undefined: everything. */
  readonly scope: Scope | undefined;
  /** When the first of it came in, as `performance.now()`. */
  readonly sinceMs: number;
}

/** Reasons for a comparison, and what has to be compared for all of them together. */
export class Gathered {
  readonly why = new Reasons();
  readonly tenants = new Set<number>();
  private readonly elements = new Map<string, Set<string>>();
  private isOfEverything = false;
  sinceMs = Number.POSITIVE_INFINITY;

  /** @param scope everything when it is not given */
  add(why: readonly string[], sinceMs: number, scope: Scope | undefined): void {
    this.why.add(...why);
    this.sinceMs = Math.min(this.sinceMs, sinceMs);
    if (!scope) this.isOfEverything = true;
    for (const tenant of scope?.tenants ?? []) this.tenants.add(tenant);
    for (const [set, keys] of scope?.elements ?? []) {
      const known = this.elements.get(set) ?? new Set();
      for (const key of keys) known.add(key);
      this.elements.set(set, known);
    }
  }

  merge(other: Gathered): void {
    if (!other.why.isEmpty) this.add(other.why.list(), other.sinceMs, other.scope);
  }

  get scope(): Scope | undefined {
    return this.isOfEverything ? undefined : { tenants: this.tenants, elements: this.elements };
  }
}

export class Checks {
  private some = new Gathered();
  private everything = new Gathered();
  private later = new Gathered();
  private laterTimer: NodeJS.Timeout | undefined;
  private readonly tenantsBudget = new Budget<number>((atOnceMax - 1) * steadyMs);
  private readonly everythingBudget = new Budget<"everything">(everythingCreditMs);

  /**
   * @param tenantsMax of more than so many tenants everything is compared
   * @param arrived called when some have become ready by themselves
   * @param onPutOff told that somebody has to wait for the budget, once for all that comes in meanwhile
   */
  constructor(
    private readonly tenantsMax: number,
    private readonly arrived: () => void,
    private readonly onPutOff: () => void,
  ) {}

  /** @param scope everything when it is not given */
  add(why: readonly string[], scope: Scope | undefined, sinceMs = performance.now()): void {
    if (!scope) {
      this.everything.add(why, sinceMs, undefined);
      return;
    }
    const [now, later] = [new Set<number>(), new Set<number>()];
    for (const tenant of scope.tenants) (this.tenantsBudget.freeAtMs(tenant) > sinceMs ? later : now).add(tenant);
    // Of the elements each look takes those of its tenants.
    if (now.size > 0) this.addSome(why, { ...scope, tenants: now }, sinceMs);
    if (later.size > 0) this.putOff(why, { ...scope, tenants: later }, sinceMs);
  }

  private addSome(why: readonly string[], scope: Scope | undefined, sinceMs: number): void {
    this.some.add(why, sinceMs, scope);
    if (this.some.tenants.size <= this.tenantsMax) return;
    this.everything.add(this.some.why.list(), this.some.sinceMs, undefined);
    this.some = new Gathered();
  }

  private putOff(why: readonly string[], scope: Scope, sinceMs: number): void {
    this.later.add(why, sinceMs, scope);
    if (this.laterTimer) return;
    this.onPutOff();
    this.laterTimer = setTimeout(() => {
      this.laterTimer = undefined;
      const { why, scope, sinceMs } = this.later;
      this.later = new Gathered();
      this.addSome(why.list(), scope, sinceMs);
      this.arrived();
    }, putOffMs).unref();
  }

  /** Whether anything may differ from what is in force. */
  get isEmpty(): boolean {
    return this.some.why.isEmpty && this.everything.why.isEmpty && this.later.why.isEmpty;
  }

  /** When there is something to do, as `performance.now()`; infinite when there is nothing. */
  get dueMs(): number {
    return Math.min(this.some.sinceMs + quietMs, this.everythingDueMs);
  }

  private get everythingDueMs(): number {
    return Math.max(this.everything.sinceMs + quietMs, this.everythingBudget.freeAtMs("everything"));
  }

  /** What is due: everything if that is, and some tenants alone if not. */
  take(): Check {
    const isOfEverything = this.everythingDueMs <= performance.now();
    const taken = isOfEverything ? this.everything : this.some;
    if (isOfEverything) {
      taken.merge(this.some);
      this.everything = new Gathered();
    }
    this.some = new Gathered();
    for (const tenant of taken.tenants) this.tenantsBudget.spend(tenant, steadyMs);
    return { why: taken.why.list(), scope: taken.scope, sinceMs: taken.sinceMs };
  }

  /** Everything has been compared, or it was tried, which took so long. */
  comparedEverything(tookMs: number): void {
    this.everythingBudget.spend("everything", Math.max(everythingLeastMs, everythingShare * tookMs));
  }
}
