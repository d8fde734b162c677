/** What the daemon has still to do. What comes in while it is busy is gathered, and done in one go. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Scope } from "../repair.js";
import { askedFor } from "./config-source.js";

/** A change comes in several notifications; what follows within this time is of the same. */
export const quietMs = 100;

/** The kernel's notifications of what the daemon itself did come within this time after it. */
const echoMs = 500;
/** The comparison that an own change leads to may wait for the changes that follow it, but not long. */
const afterOwnMs = 1000;

export interface Work {
  /** Read the config again, and why. */
  readonly reload: string | undefined;
  /** Compare with the kernel, and what made that necessary. */
  readonly checks: readonly string[];
  /** All that has to be compared; undefined: everything. */
  readonly scope: Scope | undefined;
  /** Tenants to decide anew, and why. */
  readonly redecide: readonly number[];
  readonly redecideWhy: readonly string[];
  /** When the first of it came in, as `performance.now()`. */
  readonly sinceMs: number;
}

/** Reasons for a comparison, and what has to be compared for all of them together. */
class Checks {
  readonly why = new Set<string>();
  private readonly tenants = new Set<number>();
  private readonly elements = new Map<string, Set<string>>();
  private isOfEverything = false;

  /** @param scope everything when it is not given */
  add(why: Iterable<string>, scope: Scope | undefined): void {
    for (const one of why) this.why.add(one);
    if (!scope) this.isOfEverything = true;
    for (const tenant of scope?.tenants ?? []) this.tenants.add(tenant);
    for (const [set, keys] of scope?.elements ?? []) {
      const known = this.elements.get(set) ?? new Set();
      for (const key of keys) known.add(key);
      this.elements.set(set, known);
    }
  }

  get scope(): Scope | undefined {
    return this.isOfEverything ? undefined : { tenants: this.tenants, elements: this.elements };
  }
}

export class Pending {
  private reloadWhy: string | undefined;
  private checks = new Checks();
  private tenants = new Set<number>();
  private tenantsWhy = new Set<string>();
  private sinceMs: number | undefined;
  private wake: () => void = () => {};
  private ownUntilMs = 0;
  private postponed: NodeJS.Timeout | undefined;
  private echoes = new Checks();

  /** A reason that asks for more is not forgotten for one that was seen after it. */
  reload(why: string): void {
    if (this.reloadWhy !== askedFor) this.reloadWhy = why;
    this.arrived();
  }

  /** @param scope all that may have changed; everything when it is not given */
  check(why: string, scope?: Scope): void {
    if (performance.now() < this.ownUntilMs) {
      this.postpone(why, scope);
      return;
    }
    this.checks.add([why], scope);
    this.arrived();
  }

  /** Does work that leads to checks: they are done a little later, so that a next change need not wait for them. */
  async causedBy<T>(own: () => Promise<T>): Promise<T> {
    this.ownUntilMs = Number.POSITIVE_INFINITY;
    try {
      return await own();
    } finally {
      this.ownUntilMs = performance.now() + echoMs;
    }
  }

  private postpone(why: string, scope: Scope | undefined): void {
    this.echoes.add([why], scope);
    this.postponed ??= setTimeout(() => {
      this.postponed = undefined;
      this.checks.add(this.echoes.why, this.echoes.scope);
      this.echoes = new Checks();
      this.arrived();
    }, afterOwnMs).unref();
  }

  redecide(tenants: readonly number[], why: string): void {
    for (const tenant of tenants) this.tenants.add(tenant);
    this.tenantsWhy.add(why);
    this.arrived();
  }

  private arrived(): void {
    this.sinceMs ??= performance.now();
    this.wake();
  }

  private async arrival(stop: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      this.wake = resolve;
      stop.addEventListener("abort", this.onStop, { once: true });
    });
    stop.removeEventListener("abort", this.onStop);
  }

  private readonly onStop = () => this.wake();

  /** Waits for work; undefined when stopped. Flows that may go the wrong way do not wait for more to come in. */
  async next(stop: AbortSignal): Promise<Work | undefined> {
    if (this.sinceMs === undefined && !stop.aborted) await this.arrival(stop);
    if (this.checks.why.size > 0 && this.tenants.size === 0) await sleep(quietMs);
    if (stop.aborted) return undefined;
    const isUrgentOnly = this.tenants.size > 0;
    const work: Work = {
      reload: isUrgentOnly ? undefined : this.reloadWhy,
      checks: isUrgentOnly ? [] : [...this.checks.why],
      scope: this.checks.scope,
      redecide: [...this.tenants],
      redecideWhy: [...this.tenantsWhy],
      sinceMs: this.sinceMs ?? performance.now(),
    };
    this.tenants.clear();
    this.tenantsWhy.clear();
    if (isUrgentOnly && (this.checks.why.size > 0 || this.reloadWhy !== undefined)) return work;
    this.checks = new Checks();
    this.reloadWhy = undefined;
    this.sinceMs = undefined;
    return work;
  }
}
