/**
 * The daemon: one piece of work at a time. The config is applied at the start, when it changes and on SIGHUP; what somebody
 * else changes is put right, with the config that is in force. Traffic needs no daemon, so any end of it is harmless.
 */

import { applyChange, type Surroundings } from "../change.js";
import type { Config } from "../config/schema.js";
import { ConfigError, formatProblem, toXgwError, type XgwError } from "../errors.js";
import { apply, type Converged, type InForce, type Plan, redecide, repair } from "../gateway.js";
import { withLock } from "../lock.js";
import { describeStep } from "../plan/describe.js";
import type { Step } from "../plan/steps.js";
import { repairTenants, type Scope } from "../repair.js";
import { askedFor, type ConfigSource } from "./config-source.js";
import { watchDrift } from "./drift-watch.js";
import { Pending, type Work } from "./pending.js";

const lockWaitMs = 30_000;
/** A repair that failed is tried again, for what was in its way may not be seen to go. */
const retryMs = 5000;
/** Of a drift's steps in the log. */
const stepsLogged = 20;

type Applied = Plan & Partial<Pick<Converged, "flowsLeft">>;

/** What the daemon logs by; a pino logger is one. */
export interface DaemonLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What has happened, for who embeds the daemon. Times in milliseconds. */
export interface DaemonEvents {
  /** A config is in force: the first, a changed one, or the same again. */
  reconciled: { readonly reason: string; readonly steps: readonly Step[]; readonly tookMs: number };
  /** A config is not taken, and the last good one stays in force. */
  refused: { readonly reason: string; readonly error: XgwError };
  /** Something else had changed what is ours, and it is right again. */
  repaired: { readonly noticed: readonly string[]; readonly steps: readonly Step[]; readonly tookMs: number };
  /** Flows of some tenants are decided anew, because their way has changed. */
  redecided: { readonly why: readonly string[]; readonly tenants: number };
  /** It is tried again every 5 s. */
  repairFailed: { readonly noticed: readonly string[]; readonly error: XgwError };
}

export type Emit = <K extends keyof DaemonEvents>(name: K, event: DaemonEvents[K]) => void;

export interface DaemonOptions {
  readonly log: DaemonLog;
  /** Ends the daemon, and leaves all traffic running. */
  readonly stop: AbortSignal;
  /** Tells a service manager, by assignments as of sd_notify(3). */
  readonly tell?: (...assignments: readonly string[]) => Promise<void>;
  readonly emit?: Emit;
  /** Told of each config that is in force. */
  readonly onInForce?: (inForce: InForce) => void;
}

/** The first reconciliation must succeed; later failures leave what is in force. */
export async function runDaemon(source: ConfigSource, options: DaemonOptions): Promise<void> {
  const { log, stop, tell = async () => {}, emit = () => {}, onInForce = () => {} } = options;
  const pending = new Pending();
  const watcher = source.watch((why) => pending.reload(why));
  const reconciler = new Reconciler(source, log, emit, onInForce);
  try {
    let inForce = await reconciler.start();
    const drift = watchDrift(inForce.desired, pending);
    const repairs = new Repairs(log, pending, emit);
    /** A change or a repair has not come to its end: the kernel may have something else than what is in force. */
    let isDoubtful = false;
    log.info({ pid: process.pid }, "running");
    await tell("READY=1");
    try {
      for (let work = await pending.next(stop); work; work = await pending.next(stop)) {
        if (work.reload !== undefined) {
          const { reload } = work;
          await tell("RELOADING=1");
          const isQuick = !isDoubtful && work.checks.length === 0;
          const next = await pending.causedBy(() => reconciler.follow(reload, inForce, isQuick ? drift : undefined));
          if (next === "half-way") {
            isDoubtful = true;
            pending.check("change failed");
          } else if (next !== "refused") {
            isDoubtful = false; // everything has been compared, or nothing was doubtful
            inForce = next;
          }
          drift.follow(inForce.desired);
          const isTaken = typeof next === "object";
          await tell("READY=1", `STATUS=${isTaken ? "in step" : "config refused; the last good one is in force"}`);
        }
        const compared = await repairs.run(work, inForce);
        if (compared === "some tenants") drift.full.doubt();
        if (compared === "failed") isDoubtful = true;
        if (typeof compared !== "object") continue;
        isDoubtful = false;
        const { tookMs, converged } = compared;
        drift.full.compared(tookMs);
        if (converged.steps.length === 0) continue;
        // What a config is made into depends on what there is: MTUs, and which ids are taken.
        const { desired, constants, context } = converged;
        inForce = { config: inForce.config, desired, constants, context };
        drift.follow(inForce.desired);
        onInForce(inForce);
      }
    } finally {
      await tell("STOPPING=1");
      drift.stop();
    }
  } finally {
    watcher.close();
  }
  log.info({}, "stopped; traffic goes on");
}

/** Puts configs in force. */
class Reconciler {
  constructor(
    private readonly source: ConfigSource,
    private readonly log: DaemonLog,
    private readonly emit: Emit,
    private readonly onInForce: (inForce: InForce) => void,
  ) {}

  /** @throws whatever is wrong */
  start(): Promise<InForce> {
    return this.reconcile("start", apply);
  }

  /**
   * @param surroundings not given when something of what is in force may have been changed by others
   * @returns refused: the config in force stays the one that it is; half-way: so it does, and the kernel may be between both
   */
  async follow(
    reason: string,
    inForce: InForce,
    surroundings: Surroundings | undefined,
  ): Promise<InForce | "refused" | "half-way"> {
    try {
      return await this.reconcile(reason, async (config) => {
        const isQuick = surroundings !== undefined && reason !== askedFor;
        return (isQuick ? await this.tryQuickly(config, inForce, surroundings) : undefined) ?? apply(config);
      });
    } catch (thrown) {
      const error = this.logFailure(thrown);
      this.emit("refused", { reason, error });
      return error instanceof ConfigError ? "refused" : "half-way";
    }
  }

  /** What it leaves half done when it fails is found by the comparison with everything. */
  private async tryQuickly(config: Config, inForce: InForce, surroundings: Surroundings): Promise<Plan | undefined> {
    try {
      return await applyChange(config, inForce, surroundings);
    } catch (error) {
      this.log.warn({ ...toXgwError(error).toJSON() }, "change failed half-way, comparing everything");
      return undefined;
    }
  }

  private async reconcile(reason: string, work: (config: Config) => Promise<Applied>): Promise<InForce> {
    const started = performance.now();
    const { config, warnings } = await this.source.load(reason);
    for (const warning of warnings) this.log.warn({ problem: formatProblem(warning) }, "config warning");
    const { steps, desired, constants, context, flowsLeft = 0 } = await locked(config, () => work(config));
    for (const step of steps) this.log.debug({ step: describeStep(step) }, "step done");
    if (flowsLeft > 0) this.log.warn({ flows: flowsLeft }, "flows have no room in the table, the kernel carries them");
    const tookMs = Math.round(performance.now() - started);
    const { instance, tenants } = config;
    this.log.info({ instance, reason, tenants: tenants.length, steps: steps.length, durationMs: tookMs }, "reconciled");
    const inForce: InForce = { config, desired, constants, context };
    this.emit("reconciled", { reason, steps, tookMs });
    this.onInForce(inForce);
    return inForce;
  }

  private logFailure(thrown: unknown): XgwError {
    const error = toXgwError(thrown);
    if (error instanceof ConfigError) {
      for (const problem of error.problems) this.log.error({ problem: formatProblem(problem) }, "config error");
      this.log.error({}, "config refused; the last good one stays in force");
    } else this.log.error({ ...error.toJSON() }, "reconciliation failed; the next change or SIGHUP tries again");
    return error;
  }
}

/** With everything. */
interface Compared {
  readonly converged: Converged;
  /** Without the wait for the lock. */
  readonly tookMs: number;
}

const locked = <T>(config: Config, work: () => Promise<T>) =>
  withLock({ instance: config.instance, purpose: "run", waitMs: lockWaitMs }, work);

/** Puts right what somebody else has changed, and counts. */
class Repairs {
  private drifts = 0;

  constructor(
    private readonly log: DaemonLog,
    private readonly pending: Pending,
    private readonly emit: Emit,
  ) {}

  /** @returns what came of the comparison with everything; or that a look at some tenants alone has put something right */
  async run(work: Work, inForce: InForce): Promise<Compared | "some tenants" | "failed" | undefined> {
    const { config } = inForce;
    let compared: Compared | undefined;
    const compare = async (): Promise<Converged> => {
      const taken: Step[] = [];
      const quick = work.scope && (await this.tryQuickly(inForce, work.scope, taken));
      if (quick) return quick;
      const started = performance.now();
      const converged = await repair(config);
      compared = { converged, tookMs: performance.now() - started };
      return { ...converged, steps: [...taken, ...converged.steps] };
    };
    let isPartlyRepaired = false;
    try {
      if (work.redecide.length > 0) {
        await locked(config, () => redecide(config.instance, work.redecide));
        const tookMs = Math.round(performance.now() - work.sinceMs);
        this.emit("redecided", { why: work.redecideWhy, tenants: work.redecide.length });
        this.log.info(
          { why: work.redecideWhy, tenants: work.redecide.length, tookMs },
          "way has changed, flows decided anew",
        );
      }
      if (work.checks.length > 0) {
        const converged = await locked(config, compare);
        isPartlyRepaired = !compared && converged.steps.length > 0;
        this.report(work, converged, compared ? "everything" : `${work.scope?.tenants.size} tenants`);
      }
    } catch (thrown) {
      const error = toXgwError(thrown);
      this.log.error({ noticed: work.checks, ...error.toJSON() }, "repair failed; it is tried again");
      this.emit("repairFailed", { noticed: work.checks, error });
      setTimeout(() => this.pending.check("repair failed"), retryMs).unref();
      return "failed";
    }
    return compared ?? (isPartlyRepaired ? "some tenants" : undefined);
  }

  /** A look at the tenants that the notifications name, and nothing else. */
  private async tryQuickly(inForce: InForce, scope: Scope, taken: Step[]): Promise<Converged | undefined> {
    try {
      return await repairTenants(inForce, scope, taken);
    } catch (error) {
      this.log.warn({ ...toXgwError(error).toJSON() }, "repair of some tenants failed, comparing everything");
      return undefined;
    }
  }

  private report({ checks, sinceMs }: Work, { steps, doneMs }: Converged, compared: string): void {
    const since = (ms: number) => Math.round(ms - sinceMs);
    const verifiedMs = since(performance.now());
    if (steps.length === 0) {
      this.log.debug({ noticed: checks, compared, verifiedMs }, "in step");
      return;
    }
    this.drifts++;
    const tookMs = since(doneMs);
    this.emit("repaired", { noticed: checks, steps, tookMs });
    this.log.warn(
      {
        noticed: checks,
        compared,
        steps: steps.length,
        repaired: steps.slice(0, stepsLogged).map(describeStep),
        tookMs,
        verifiedMs,
        driftsSinceStart: this.drifts,
      },
      "drift repaired",
    );
  }
}
