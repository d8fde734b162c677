/**
 * Flows that are to be decided anew. Who causes it (a tenant by its hosts, a neighbour or a route of the underlay) has a
 * budget: at once as long as it is rare, then at a steady rate, however often it is asked for; what comes in between is done
 * in one go. All of them together leave most of the daemon's time to other work.
 */

import { Budget } from "./budget.js";
import { Reasons } from "./reasons.js";

/** Who causes redecisions: a tenant's id, or a name for what is no tenant's. */
export type Cause = number | string;

/** One that never rests has its flows decided anew every so often, */
export const steadyMs = 2000;
/** after so many at once. */
export const atOnceMax = 5;
/** After a redecision the next has to wait so many times as long as it took, so that they take a fifth of the time, */
const rest = 4;
/** but not longer, milliseconds: it may have waited for the lock. */
const restMaxMs = 500;
/** And not shorter: 8,192 changes of a tenant shall last longer than any packet waits (bpf/lib/entrance.h). */
const restMinMs = 10;

/** Reasons of one cause in the log, lest they hide others'. */
const namedMax = 3;

interface Waiting {
  readonly tenants: Set<number>;
  readonly why: Reasons;
  readonly sinceMs: number;
}

export interface Redecision {
  /** Ids. */
  readonly tenants: readonly number[];
  readonly why: readonly string[];
  /** When the first of it was asked for, as `performance.now()`. */
  readonly sinceMs: number;
}

export class Redecisions {
  private readonly ready = new Map<Cause, Waiting>();
  private readonly putOff = new Map<Cause, Waiting>();
  private readonly budget = new Budget<Cause>((atOnceMax - 1) * steadyMs);
  private notBeforeMs = 0;

  /**
   * @param arrived called when some have become ready by themselves
   * @param onPutOff told who has to wait for its budget, once for all that is asked for meanwhile
   */
  constructor(
    private readonly arrived: () => void,
    private readonly onPutOff: (by: Cause) => void,
  ) {}

  add(by: Cause, tenants: readonly number[], why: string): void {
    const waiting = this.ready.get(by) ?? this.putOff.get(by) ?? this.begin(by);
    for (const tenant of tenants) waiting.tenants.add(tenant);
    waiting.why.add(why);
  }

  private begin(by: Cause): Waiting {
    const nowMs = performance.now();
    const waiting = { tenants: new Set<number>(), why: new Reasons(namedMax), sinceMs: nowMs };
    const freeAtMs = this.budget.freeAtMs(by);
    if (freeAtMs <= nowMs) {
      this.ready.set(by, waiting);
      return waiting;
    }
    this.putOff.set(by, waiting);
    this.onPutOff(by);
    setTimeout(() => {
      this.putOff.delete(by);
      this.ready.set(by, waiting);
      this.arrived();
    }, freeAtMs - nowMs).unref();
    return waiting;
  }

  /** When there is something to do, as `performance.now()`; infinite when there is nothing. */
  get dueMs(): number {
    return this.ready.size === 0 ? Number.POSITIVE_INFINITY : this.notBeforeMs;
  }

  /** All that are ready, of whoever: they take as long together as one. */
  take(): Redecision {
    const tenants = new Set<number>();
    const why = new Reasons();
    let sinceMs = Number.POSITIVE_INFINITY;
    for (const [by, one] of this.ready) {
      this.budget.spend(by, steadyMs);
      for (const tenant of one.tenants) tenants.add(tenant);
      why.add(...one.why.list());
      sinceMs = Math.min(sinceMs, one.sinceMs);
    }
    this.ready.clear();
    return { tenants: [...tenants], why: why.list(), sinceMs };
  }

  /** What was taken is done. */
  took(tookMs: number): void {
    this.notBeforeMs = performance.now() + Math.min(Math.max(rest * tookMs, restMinMs), restMaxMs);
  }
}
