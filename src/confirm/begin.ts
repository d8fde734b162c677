/** Puts a change on trial: it is in force, and is taken back unless somebody confirms it in time. */

import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { keepApplied, readApplied } from "../applied.js";
import { FileCache } from "../config/file-cache.js";
import { loadConfig, type PlacedConfig } from "../config/load.js";
import type { Config } from "../config/schema.js";
import { parseSource, SourceError } from "../config/source.js";
import { crashPoint } from "../crash.js";
import { askDaemonOf, type DaemonReport } from "../daemon-socket.js";
import { ConfigError, UsageError, XgwError } from "../errors.js";
import { apply, type Converged, type Plan, plan, planChange } from "../gateway.js";
import { withLock } from "../lock.js";
import { isInForce } from "../observe/in-force.js";
import {
  endTrial,
  type FileTrial,
  type KernelTrial,
  readTrial,
  secondsLeft,
  type Trial,
  textDigest,
  trialOf,
  uptime,
  writeTrial,
} from "../trial.js";
import { startGuard } from "./guard.js";

export interface TrialOptions {
  /** How long it may stay unconfirmed. */
  readonly seconds: number;
  /** How long to wait for another xgw. */
  readonly waitMs: number;
  /** The words by which `xgw` is started: the guard is one. */
  readonly program: readonly [string, ...string[]];
}

/** What one that hangs may take until the change is in force, seconds. Its own time begins then. */
const graceSeconds = 120;

/**
 * Without a daemon. The config that was last applied is gone back to: it has to be what is in force.
 *
 * @throws XgwError as `apply` does, or when there is nothing that could be gone back to; nothing is on trial then
 */
export async function tryInKernel(loaded: PlacedConfig, file: string, options: TrialOptions): Promise<Converged> {
  const { config } = loaded;
  const { instance } = config;
  return withLock({ instance, purpose: "apply", waitMs: options.waitMs }, async () => {
    const older = trialOf(instance);
    const before = older?.kind === "kernel" && secondsLeft(older) > 0 ? older.before : await inForce(config);
    const trial: KernelTrial = {
      kind: "kernel",
      token: randomUUID(),
      instance,
      file: resolve(file),
      deadline: uptime() + options.seconds + graceSeconds,
      before,
    };
    const applied = await applyGuarded(config, trial, older, options);
    crashPoint("trial in force");
    if (older && older.file !== trial.file) endTrial(older);
    keepApplied(config);
    writeTrial({ ...trial, deadline: uptime() + options.seconds });
    return applied;
  });
}

/** Where it fails all is as it was: an older trial of the file, whose way back is the same, goes on. */
async function applyGuarded(
  config: Config,
  trial: KernelTrial,
  older: Trial | undefined,
  { program }: TrialOptions,
): Promise<Converged> {
  writeTrial(trial);
  crashPoint("trial written");
  try {
    await startGuard(trial, program);
    crashPoint("guard started");
    return await apply(config);
  } catch (error) {
    if (older?.file === trial.file) {
      writeTrial(older);
      await startGuard(older, program); // the one that it had has seen the other's
    } else endTrial(trial);
    throw error;
  }
}

/** @returns null when nothing is in force */
async function inForce({ instance }: Config): Promise<Config | null> {
  if (!isInForce(instance)) return null;
  const kept = readApplied(instance);
  const steps = kept && (await plan(kept)).steps;
  if (kept && steps?.length === 0) return kept;
  const why = kept ? "what is in force is not what was applied last" : "nobody has kept what was applied last";
  throw new XgwError(`there is nothing that could be gone back to: ${why}`, {
    remedy:
      "first `xgw apply` the config that is in force, which keeps it; or use `xgw run`, whose file it goes back to",
  });
}

/** A plan, and how the daemon has the config. */
export interface TriedByDaemon {
  readonly loaded: PlacedConfig;
  readonly planned: Plan;
  readonly file: string;
}

/**
 * By the daemon, in place of its file, which stays as it is until the change is confirmed.
 *
 * @param from where the text is that is tried: a copy of the daemon's file, with the change
 * @throws UsageError, ConfigError, KernelError and so on before anything is changed; XgwError when the daemon could not put it in
 *   force, and has gone back
 */
export async function tryByDaemon(report: DaemonReport, from: string, options: TrialOptions): Promise<TriedByDaemon> {
  const file = fileOf(report, from);
  const text = readFileSync(from, "utf8");
  const loaded = await loadInPlaceOf(file, from, text);
  const { instance } = loaded.config;
  const older = trialOf(instance);
  if (!older && report.config.state !== "good")
    throw new XgwError(`the daemon has refused ${file}, which would be gone back to`, { remedy: "mend it first" });
  const planned = await planChange(loaded.config);
  const trial: FileTrial = {
    kind: "file",
    token: randomUUID(),
    instance,
    file,
    from: resolve(from),
    deadline: uptime() + options.seconds + graceSeconds,
    text,
    was: older?.kind === "file" ? older.was : textDigest(readFileSync(file, "utf8")),
  };
  writeTrial(trial);
  crashPoint("trial written");
  await startGuard(trial, options.program).catch((error) => {
    endTrial(trial);
    throw error;
  });
  crashPoint("guard started");
  await taken(trial);
  crashPoint("trial in force");
  await withLock({ instance, purpose: "confirm", waitMs: options.waitMs, isOwnOnly: true }, async () => {
    // Somebody may have ended it already.
    if (readTrial(file)?.token === trial.token) writeTrial({ ...trial, deadline: uptime() + options.seconds });
  });
  return { loaded, planned, file };
}

function fileOf({ config: { file } }: DaemonReport, from: string): string {
  if (file === undefined)
    throw new XgwError("the daemon is of a version that knows no trials", { remedy: "restart it" });
  if (realpathSync(from) === realpathSync(file))
    throw new UsageError(`the daemon follows ${file}, and applies it as soon as it is saved`, {
      remedy: "put it back as it was, and give a copy with the change: xgw apply -c COPY --confirm SECONDS",
    });
  const [own, beside] = [file, from].map((path) => join(dirname(path), "tenants.d"));
  if (beside !== undefined && own !== undefined && existsSync(beside) && resolve(beside) !== resolve(own))
    throw new UsageError(`${beside} is not what the daemon would use, which has ${own}`, {
      remedy: "put the copy where there is no tenants.d beside it: the daemon's is used",
    });
  return file;
}

/** With the tenants.d of the daemon's file. */
async function loadInPlaceOf(file: string, from: string, text: string): Promise<PlacedConfig> {
  try {
    return await loadConfig(file, new FileCache(), parseSource(from, text));
  } catch (error) {
    if (error instanceof SourceError) throw new ConfigError(error.problems);
    throw error;
  }
}

const pollMs = 100;

/** @throws XgwError when the daemon did not put it in force; then it has gone back, or does so */
async function taken(trial: FileTrial): Promise<void> {
  const started = Date.now();
  for (let last: DaemonReport | undefined; secondsLeft(trial) > 0; await sleep(pollMs)) {
    last = await askDaemonOf(trial.instance);
    if (last?.config.trial?.token === trial.token) return;
    if (last?.config.state !== "bad" || Date.parse(last.config.since) < started) continue;
    endTrial(trial);
    throw new XgwError(`the daemon could not put it in force, and goes back: ${last.config.problems.join("; ")}`);
  }
  endTrial(trial);
  throw new XgwError("the daemon has not put it in force in time; it is taken back", {
    remedy: "see the daemon's log",
  });
}
