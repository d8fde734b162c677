/** What the daemon has done and seen since it started: for its log, for `xgw status` and for metrics. */

import type { DaemonReport } from "../daemon-socket.js";
import { ConfigError, formatProblem, toXgwError } from "../errors.js";
import type { Step } from "../plan/steps.js";

export class DaemonRecord {
  private readonly startedAt = new Date();
  private inForceSince = new Date();
  private since = new Date();
  private problems: readonly string[] = [];
  private readonly repairs = new Map<string, number>();
  private redecisions = 0;
  private repairFailures = 0;
  private readonly redecisionsPutOff = new Map<string, number>();
  private checksPutOff = 0;
  private lost = 0;
  private readonly forgotten = new Map<string, number>();
  drifts = 0;

  /** The config is in force. */
  applied(): void {
    this.inForceSince = new Date();
    if (this.problems.length > 0) this.since = new Date();
    this.problems = [];
  }

  /** It is not, and what was before still is. */
  refused(thrown: unknown): void {
    if (this.problems.length === 0) this.since = new Date();
    const error = toXgwError(thrown);
    this.problems =
      thrown instanceof ConfigError
        ? thrown.problems.map((problem) => formatProblem(problem))
        : [`${error.message}${error.remedy === undefined ? "" : `; ${error.remedy}`}`];
  }

  repaired(steps: readonly Step[]): void {
    this.drifts++;
    for (const { kind } of steps) {
      const thing = kind.slice(0, kind.indexOf(".") < 0 ? undefined : kind.indexOf("."));
      if (thing !== "generation" && thing !== "connections") count(this.repairs, thing);
    }
  }

  repairFailed(): void {
    this.repairFailures++;
  }

  redecided(): void {
    this.redecisions++;
  }

  /** @param tenant name of who caused it; empty when that is none */
  redecisionPutOff(tenant: string): void {
    count(this.redecisionsPutOff, tenant);
  }

  checkPutOff(): void {
    this.checksPutOff++;
  }

  notificationsLost(): void {
    this.lost++;
  }

  /** @param tenant name of whose hosts one was forgotten; empty when that is none */
  neighbourForgotten(tenant: string): void {
    count(this.forgotten, tenant);
  }

  report(): DaemonReport {
    return {
      pid: process.pid,
      startedAt: this.startedAt.toISOString(),
      config: {
        state: this.problems.length === 0 ? "good" : "bad",
        since: this.since.toISOString(),
        inForceSince: this.inForceSince.toISOString(),
        problems: this.problems,
      },
      drifts: this.drifts,
      repairs: Object.fromEntries(this.repairs),
      repairFailures: this.repairFailures,
      redecisions: this.redecisions,
      putOff: { redecisions: Object.fromEntries(this.redecisionsPutOff), checks: this.checksPutOff },
      notificationsLost: this.lost,
      neighboursForgotten: Object.fromEntries(this.forgotten),
    };
  }
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
