/** What the daemon has still to do. What comes in while it is busy is gathered, and done in one go. */

import { setTimeout as sleep } from "node:timers/promises";
import { askedFor } from "./config-source.js";

/** A change comes in several notifications; what follows within this time is of the same. */
const quietMs = 100;

/** The kernel's notifications of what the daemon itself did come within this time after it. */
const echoMs = 500;
/** The comparison that an own change leads to may wait for the changes that follow it, but not long. */
const afterOwnMs = 1000;

export interface Work {
  /** Read the config again, and why. */
  readonly reload: string | undefined;
  /** Compare with the kernel, and what made that necessary. */
  readonly checks: readonly string[];
  /** Tenants to decide anew, and why. */
  readonly redecide: readonly number[];
  readonly redecideWhy: readonly string[];
  /** When the first of it came in, as `performance.now()`. */
  readonly sinceMs: number;
}

export class Pending {
  private reloadWhy: string | undefined;
  private checks = new Set<string>();
  private tenants = new Set<number>();
  private tenantsWhy = new Set<string>();
  private sinceMs: number | undefined;
  private wake: () => void = () => {};
  private ownUntilMs = 0;
  private postponed: NodeJS.Timeout | undefined;
  private readonly echoes = new Set<string>();

  /** A reason that asks for more is not forgotten for one that was seen after it. */
  reload(why: string): void {
    if (this.reloadWhy !== askedFor) this.reloadWhy = why;
    this.arrived();
  }

  check(why: string): void {
    if (performance.now() < this.ownUntilMs) {
      this.postpone(why);
      return;
    }
    this.checks.add(why);
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

  private postpone(why: string): void {
    this.echoes.add(why);
    this.postponed ??= setTimeout(() => {
      this.postponed = undefined;
      for (const echo of this.echoes) this.checks.add(echo);
      this.echoes.clear();
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
    if (this.checks.size > 0 && this.tenants.size === 0) await sleep(quietMs);
    if (stop.aborted) return undefined;
    const isUrgentOnly = this.tenants.size > 0;
    const work: Work = {
      reload: isUrgentOnly ? undefined : this.reloadWhy,
      checks: isUrgentOnly ? [] : [...this.checks],
      redecide: [...this.tenants],
      redecideWhy: [...this.tenantsWhy],
      sinceMs: this.sinceMs ?? performance.now(),
    };
    this.tenants.clear();
    this.tenantsWhy.clear();
    if (isUrgentOnly && (this.checks.size > 0 || this.reloadWhy !== undefined)) return work;
    this.checks.clear();
    this.reloadWhy = undefined;
    this.sinceMs = undefined;
    return work;
  }
}
