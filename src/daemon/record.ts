/** What the daemon has done and seen since it started: for its log, for `xgw status` and for metrics. */

import type { DaemonReport } from "../daemon-socket.js";
import { ConfigError, formatProblem, toXgwError } from "../errors.js";
import type { Finding } from "../finding.js";
import { type Durations, noDurations, withDuration } from "../histogram.js";
import type { Step } from "../plan/steps.js";
import { type FileTrial, secondsLeft } from "../trial.js";

/** Of what is wrong with a config: how many are told, and of each so many characters, which are kept until it is mended. */
const problemsTold = 100;
const problemLength = 1000;

export class DaemonRecord {
  private readonly startedAt = new Date();
  private inForceSince = new Date();
  private since = new Date();
  private problems: readonly string[] = [];
  private trial: FileTrial | undefined;
  private readonly repairs = new Map<string, number>();
  private redecisions = 0;
  private repairFailures = 0;
  private readonly redecisionsPutOff = new Map<string, number>();
  private checksPutOff = 0;
  private lost = 0;
  private inTheWayCount = 0;
  private findings: readonly Finding[] = [];
  private readonly forgotten = new Map<string, number>();
  private readonly durations = new Map<keyof DaemonReport["durations"], Durations>([
    ["reconcile", noDurations],
    ["repair", noDurations],
  ]);
  drifts = 0;

  /** How long a piece of work took, milliseconds. */
  took(work: keyof DaemonReport["durations"], tookMs: number): void {
    this.durations.set(work, withDuration(this.durations.get(work) ?? noDurations, tookMs / 1000));
  }

  /** The config is in force: for good, or on trial. */
  applied(trial?: FileTrial): void {
    this.trial = trial;
    this.inForceSince = new Date();
    if (this.problems.length > 0) this.since = new Date();
    this.problems = [];
  }

  /** It is not, and what was before still is. */
  refused(thrown: unknown): void {
    if (this.problems.length === 0) this.since = new Date();
    const error = toXgwError(thrown);
    const told =
      thrown instanceof ConfigError
        ? thrown.problems.slice(0, problemsTold).map((problem) => formatProblem(problem))
        : [`${error.message}${error.remedy === undefined ? "" : `; ${error.remedy}`}`];
    this.problems = told.map((text) => (text.length > problemLength ? `${text.slice(0, problemLength)}…` : text));
    const more = thrown instanceof ConfigError ? thrown.problems.length - problemsTold : 0;
    if (more > 0) this.problems = [...this.problems, `and ${more} more: see xgw validate`];
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

  inTheWay(count: number): void {
    this.inTheWayCount = count;
  }

  health(findings: readonly Finding[]): void {
    this.findings = findings;
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
        ...(this.trial ? { trial: toReport(this.trial) } : {}),
      },
      drifts: this.drifts,
      repairs: Object.fromEntries(this.repairs),
      repairFailures: this.repairFailures,
      redecisions: this.redecisions,
      putOff: { redecisions: Object.fromEntries(this.redecisionsPutOff), checks: this.checksPutOff },
      notificationsLost: this.lost,
      inTheWay: this.inTheWayCount,
      findings: this.findings,
      durations: Object.fromEntries(this.durations) as DaemonReport["durations"],
      neighboursForgotten: Object.fromEntries(this.forgotten),
    };
  }
}

const toReport = (trial: FileTrial) => ({
  token: trial.token,
  from: trial.from,
  until: new Date(Date.now() + secondsLeft(trial) * 1000).toISOString(),
});

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
