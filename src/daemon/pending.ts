/**
 * What the daemon has still to do, and in which order: a fair queue. What comes in while it is busy is gathered, and done in
 * one go. Flows that may go the wrong way wait for one piece of other work at most, and other work for one redecision;
 * reloads, comparisons and the rest take turns. What causes work without end has a budget: see `Redecisions` and `Checks`.
 */

import type { Scope } from "../repair.js";
import { type Check, Checks, Gathered } from "./checks.js";
import { askedFor } from "./config-source.js";
import { type Cause, type Redecision, Redecisions } from "./redecisions.js";

/** The kernel's notifications of what the daemon itself did come within this time after it. */
const echoMs = 500;
/** The comparison that an own change leads to may wait for the changes that follow it, but not long. */
const afterOwnMs = 1000;
/** After the templates were looked through, that is not done again for so many times as long as it took, */
const reclaimRest = 49;
/** and for so long at least. */
const reclaimAfterMs = 1000;

/** One piece of it. */
export type Work =
  /** Flows of some tenants are to be decided anew. */
  | ({ readonly kind: "redecide" } & Redecision)
  /** The config is to be read again; `isDoubtful`: something may differ from the one in force. */
  | { readonly kind: "reload"; readonly why: string; readonly isDoubtful: boolean }
  /** Compare with the kernel. */
  | ({ readonly kind: "check" } & Check)
  /** Templates that no flow leads to any more may give their places back. */
  | { readonly kind: "reclaim" };

/** Work that had to wait, because who causes it has spent the budget. A tenant's id where it is known. */
export interface PutOff {
  readonly what: "redecision" | "check";
  readonly tenant?: number;
}

export interface PendingOptions {
  /** Of more than so many tenants everything is compared. */
  readonly tenantsMax: number;
  readonly onPutOff?: (putOff: PutOff) => void;
}

/** Kinds of work that take turns, in this order. */
const others = ["reload", "check", "reclaim"] as const;
type Other = (typeof others)[number];

const never = Number.POSITIVE_INFINITY;

export class Pending {
  private reloadWhy: string | undefined;
  private reloadTimer: NodeJS.Timeout | undefined;
  private readonly checks: Checks;
  private readonly redecisions: Redecisions;
  private reclaimDueMs = never;
  private reclaimNotBeforeMs = 0;
  private last: Work["kind"] = "check";
  private lastOther: Other = "reclaim";
  private wake: () => void = () => {};
  private ownUntilMs = 0;
  private postponed: NodeJS.Timeout | undefined;
  private echoes = new Gathered();

  constructor({ tenantsMax, onPutOff = () => {} }: PendingOptions) {
    const arrived = () => this.wake();
    this.checks = new Checks(tenantsMax, arrived, () => onPutOff({ what: "check" }));
    this.redecisions = new Redecisions(arrived, (by) =>
      onPutOff({ what: "redecision", ...(typeof by === "number" ? { tenant: by } : {}) }),
    );
  }

  /** A reason that asks for more is not forgotten for one that was seen after it. */
  reload(why: string): void {
    clearTimeout(this.reloadTimer);
    if (this.reloadWhy !== askedFor) this.reloadWhy = why;
    this.wake();
  }

  /** Unless there is another reason before that. */
  reloadLater(why: string, delayMs: number): void {
    clearTimeout(this.reloadTimer);
    if (this.reloadWhy === undefined) this.reloadTimer = setTimeout(() => this.reload(why), delayMs).unref();
  }

  /** What was to be done later has been done. */
  reloaded(): void {
    clearTimeout(this.reloadTimer);
  }

  /** @param scope all that may have changed; everything when it is not given */
  check(why: string, scope?: Scope): void {
    if (performance.now() < this.ownUntilMs) {
      this.postpone(why, scope);
      return;
    }
    this.checks.add([why], scope);
    this.wake();
  }

  /** Everything has been compared, or that was tried, which took so long. */
  comparedEverything(tookMs: number): void {
    this.checks.comparedEverything(tookMs);
  }

  /** Does work that leads to checks: they are done a little later, so that a next change need not wait for them. */
  async causedBy<T>(own: () => Promise<T>): Promise<T> {
    this.ownUntilMs = never;
    try {
      return await own();
    } finally {
      this.ownUntilMs = performance.now() + echoMs;
    }
  }

  private postpone(why: string, scope: Scope | undefined): void {
    this.echoes.add([why], performance.now(), scope);
    this.postponed ??= setTimeout(() => {
      this.postponed = undefined;
      const { why, scope } = this.echoes;
      this.checks.add(why.list(), scope);
      this.echoes = new Gathered();
      this.wake();
    }, afterOwnMs).unref();
  }

  /** @param by who causes it, and has a budget for it */
  redecide(by: Cause, tenants: readonly number[], why: string): void {
    this.redecisions.add(by, tenants, why);
    this.wake();
  }

  /** Flows have been decided anew, which took so long, and may have left templates that nobody uses. */
  redecided(tookMs: number): void {
    this.redecisions.took(tookMs);
    this.reclaim();
  }

  /** Templates may have been left that nobody uses. */
  reclaim(): void {
    this.reclaimDueMs = this.reclaimNotBeforeMs;
  }

  /** Templates have been looked through, which took so long. */
  reclaimed(tookMs: number): void {
    this.reclaimNotBeforeMs = performance.now() + Math.max(reclaimAfterMs, reclaimRest * tookMs);
  }

  /** Waits for work; undefined when stopped. */
  async next(stop: AbortSignal): Promise<Work | undefined> {
    while (!stop.aborted) {
      const nowMs = performance.now();
      const kind = this.turn(nowMs);
      if (kind) return this.take(kind);
      await this.arrival(stop, this.dueMs - nowMs);
    }
    return undefined;
  }

  private turn(nowMs: number): Work["kind"] | undefined {
    const at = others.indexOf(this.lastOther) + 1;
    const other = [...others.slice(at), ...others.slice(0, at)].find((kind) => this.dueMsOf(kind) <= nowMs);
    const isRedecided = this.redecisions.dueMs <= nowMs && (this.last !== "redecide" || other === undefined);
    return isRedecided ? "redecide" : other;
  }

  private dueMsOf(kind: Other): number {
    switch (kind) {
      case "reload":
        return this.reloadWhy === undefined ? never : 0;
      case "check":
        return this.checks.dueMs;
      case "reclaim":
        return this.reclaimDueMs;
    }
  }

  private get dueMs(): number {
    return Math.min(this.redecisions.dueMs, ...others.map((kind) => this.dueMsOf(kind)));
  }

  private take(kind: Work["kind"]): Work {
    this.last = kind;
    if (kind === "redecide") return { kind, ...this.redecisions.take() };
    this.lastOther = kind;
    switch (kind) {
      case "reload": {
        const why = this.reloadWhy ?? "";
        this.reloadWhy = undefined;
        return { kind, why, isDoubtful: !this.checks.isEmpty };
      }
      case "check":
        return { kind, ...this.checks.take() };
      case "reclaim":
        this.reclaimDueMs = never;
        return { kind };
    }
  }

  /** Until something comes in, or so much time has passed. */
  private async arrival(stop: AbortSignal, patienceMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.wake = resolve;
      stop.addEventListener("abort", this.onStop, { once: true });
      if (patienceMs !== never) timer = setTimeout(resolve, Math.max(0, Math.ceil(patienceMs)));
    });
    clearTimeout(timer);
    stop.removeEventListener("abort", this.onStop);
  }

  private readonly onStop = () => this.wake();
}
