/**
 * The daemon: one piece of work at a time. The config is applied at the start, when it changes and on SIGHUP; what somebody
 * else changes is put right, with the config that is in force. Traffic needs no daemon, so any end of it is harmless.
 */

import { dirname, join } from "node:path";
import { loadConfig } from "../config/load.js";
import type { Config } from "../config/schema.js";
import { ConfigError, formatProblem, toXgwError } from "../errors.js";
import { apply, type Plan, redecide, repair } from "../gateway.js";
import { withLock } from "../lock.js";
import type { Logger } from "../log.js";
import type { Desired } from "../model/desired.js";
import { describeStep } from "../plan/describe.js";
import { watchConfig } from "./config-watch.js";
import { watchDrift } from "./drift-watch.js";
import { Pending, type Work } from "./pending.js";
import { serviceManager } from "./service-manager.js";

const lockWaitMs = 30_000;
/** A repair that failed is tried again, for what was in its way may not be seen to go. */
const retryMs = 5000;
/** Of a drift's steps in the log. */
const stepsLogged = 20;

interface InForce {
  readonly config: Config;
  readonly desired: Desired;
}

/** Runs until SIGTERM or SIGINT. The first reconciliation must succeed; later failures leave what is in force. */
export async function runDaemon(configFile: string, log: Logger): Promise<void> {
  const stop = stopSignal();
  const pending = new Pending();
  const manager = serviceManager(process.env, log);
  const tenantsDir = join(dirname(configFile), "tenants.d");
  const watcher = watchConfig(configFile, tenantsDir, () => pending.reload("config changed"));
  const onHangup = () => pending.reload("SIGHUP");
  process.on("SIGHUP", onHangup);
  try {
    let inForce = await reconcile(configFile, "start", log);
    const drift = await watchDrift(inForce.desired, pending);
    const repairs = new Repairs(log, pending);
    log.info({ pid: process.pid }, "running");
    await manager.tell("READY=1");
    try {
      for (let work = await pending.next(stop); work; work = await pending.next(stop)) {
        if (work.reload !== undefined) {
          await manager.tell("RELOADING=1");
          const next = await reconcile(configFile, work.reload, log).catch((error) => logFailure(error, log));
          if (next) drift.follow(next.desired);
          inForce = next ?? inForce;
          await manager.tell("READY=1", `STATUS=${next ? "in step" : "config refused; the last good one is in force"}`);
        }
        await repairs.run(work, inForce);
      }
    } finally {
      await manager.tell("STOPPING=1");
      drift.stop();
    }
  } finally {
    manager.stop();
    watcher.close();
    process.off("SIGHUP", onHangup);
  }
  log.info("stopped; traffic goes on");
}

async function reconcile(configFile: string, reason: string, log: Logger): Promise<InForce> {
  const started = performance.now();
  const { config, warnings } = await loadConfig(configFile);
  for (const warning of warnings) log.warn({ problem: formatProblem(warning) }, "config warning");
  const { steps, desired } = await locked(config, () => apply(config));
  for (const step of steps) log.debug({ step: describeStep(step) }, "step done");
  log.info(
    {
      instance: config.instance,
      reason,
      tenants: config.tenants.length,
      steps: steps.length,
      durationMs: Math.round(performance.now() - started),
    },
    "reconciled",
  );
  return { config, desired };
}

const locked = <T>(config: Config, work: () => Promise<T>) =>
  withLock({ instance: config.instance, purpose: "run", waitMs: lockWaitMs }, work);

/** Puts right what somebody else has changed, and counts. */
class Repairs {
  private drifts = 0;

  constructor(
    private readonly log: Logger,
    private readonly pending: Pending,
  ) {}

  async run(work: Work, { config }: InForce): Promise<void> {
    try {
      if (work.redecide.length > 0) {
        await locked(config, () => redecide(config.instance, work.redecide));
        const tookMs = Math.round(performance.now() - work.sinceMs);
        this.log.info(
          { why: work.redecideWhy, tenants: work.redecide.length, tookMs },
          "way has changed, flows decided anew",
        );
      }
      if (work.checks.length > 0) this.report(work, await locked(config, () => repair(config)));
    } catch (error) {
      this.log.error({ noticed: work.checks, ...toXgwError(error).toJSON() }, "repair failed; it is tried again");
      setTimeout(() => this.pending.check("repair failed"), retryMs).unref();
    }
  }

  private report({ checks, sinceMs }: Work, { steps }: Plan): void {
    const tookMs = Math.round(performance.now() - sinceMs);
    if (steps.length === 0) {
      this.log.debug({ noticed: checks, tookMs }, "in step");
      return;
    }
    this.drifts++;
    this.log.warn(
      {
        noticed: checks,
        steps: steps.length,
        repaired: steps.slice(0, stepsLogged).map(describeStep),
        tookMs,
        driftsSinceStart: this.drifts,
      },
      "drift repaired",
    );
  }
}

function logFailure(thrown: unknown, log: Logger): undefined {
  if (thrown instanceof ConfigError) {
    for (const problem of thrown.problems) log.error({ problem: formatProblem(problem) }, "config error");
    log.error("config refused; the last good one stays in force");
    return;
  }
  const error = toXgwError(thrown);
  log.error({ ...error.toJSON() }, "reconciliation failed; the next change or SIGHUP tries again");
}

/** Aborted by SIGTERM or SIGINT. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => controller.abort());
  return controller.signal;
}
