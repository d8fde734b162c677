/**
 * The daemon: one reconciliation at a time, started by the start, a changed config or SIGHUP. What comes in meanwhile
 * makes one more. Traffic needs no daemon, so any end of it is harmless.
 */

import { dirname, join } from "node:path";
import { loadConfig } from "../config/load.js";
import { ConfigError, formatProblem, toXgwError } from "../errors.js";
import { apply } from "../gateway.js";
import { withLock } from "../lock.js";
import type { Logger } from "../log.js";
import { describeStep } from "../plan/describe.js";
import { watchConfig } from "./config-watch.js";

const lockWaitMs = 30_000;

/** Runs until SIGTERM or SIGINT. The first reconciliation must succeed; later failures leave what is in force. */
export async function runDaemon(configFile: string, log: Logger): Promise<void> {
  const stop = stopSignal();
  let wake: () => void = () => {};
  let reason: string | undefined;
  const trigger = (why: string) => {
    reason = why;
    wake();
  };
  const watcher = watchConfig(configFile, join(dirname(configFile), "tenants.d"), () => trigger("config changed"));
  const onHangup = () => trigger("SIGHUP");
  process.on("SIGHUP", onHangup);
  try {
    await reconcile(configFile, "start", log);
    log.info({ pid: process.pid }, "running");
    while (!stop.aborted) {
      if (reason === undefined)
        await new Promise<void>((resolve) => {
          wake = resolve;
          stop.addEventListener("abort", () => resolve(), { once: true });
        });
      if (stop.aborted) break;
      const why = reason ?? "";
      reason = undefined;
      await reconcile(configFile, why, log).catch((error) => logFailure(error, log));
    }
  } finally {
    watcher.close();
    process.off("SIGHUP", onHangup);
  }
  log.info("stopped; traffic goes on");
}

async function reconcile(configFile: string, reason: string, log: Logger): Promise<void> {
  const started = performance.now();
  const { config, warnings } = await loadConfig(configFile);
  for (const warning of warnings) log.warn({ problem: formatProblem(warning) }, "config warning");
  const lock = { instance: config.instance, purpose: "run", waitMs: lockWaitMs };
  const { steps } = await withLock(lock, () => apply(config));
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
}

function logFailure(thrown: unknown, log: Logger): void {
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
