/** Ends a trial before its time: keeps the change, or takes it back. */

import { readFileSync, realpathSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { replaceFile } from "../atomic-file.js";
import { crashPoint } from "../crash.js";
import { askDaemonOf } from "../daemon-socket.js";
import { XgwError } from "../errors.js";
import { withLock } from "../lock.js";
import { endTrial, type FileTrial, readTrial, secondsLeft, type Trial, textDigest, trialOf } from "../trial.js";
import { takeBack } from "./guard.js";

/**
 * @param instance of the config, if it can be read
 * @throws XgwError when there is none
 */
export function trialFor(file: string, instance: string | undefined): Trial {
  const trial = readTrial(file) ?? (instance === undefined ? undefined : trialOf(instance));
  if (trial) return trial;
  throw new XgwError("there is no change that waits to be confirmed", {
    remedy: "it was confirmed, or taken back, or was of another config: name that with -c",
  });
}

/** How long to wait for another xgw, or for the daemon, milliseconds. */
const waitMs = 30_000;

/** @throws XgwError when it is too late, or the daemon's file has been changed meanwhile */
export async function keep(trial: Trial): Promise<void> {
  await withLock({ instance: trial.instance, purpose: "confirm", waitMs, isOwnOnly: true }, async () => {
    if (readTrial(trial.file)?.token !== trial.token || secondsLeft(trial) <= 0)
      throw new XgwError("it is too late: the change is taken back", {
        ...(trial.failure === undefined ? {} : { details: { failure: trial.failure } }),
        remedy: "apply it again, with more time",
      });
    if (trial.kind === "file") install(trial);
    crashPoint("trial kept");
    endTrial(trial);
  });
}

/** The daemon's file becomes what was tried, with the owner and mode that it has; a link stays one. */
function install({ file, text, was }: FileTrial): void {
  const path = realpathSync(file);
  const now = textDigest(readFileSync(path, "utf8"));
  if (now === textDigest(text)) return; // somebody has done it, or died after it
  if (now !== was)
    throw new XgwError(`${file} has been changed since the trial began, and would be overwritten`, {
      remedy: "put that change into what is tried and apply that, or take the trial back: xgw confirm --cancel",
    });
  const { mode, uid, gid } = statSync(path);
  replaceFile(path, text, { mode: mode & 0o7777, uid, gid });
  crashPoint("file replaced");
}

/** @throws XgwError when the way back fails, or the daemon has not gone it in time */
export async function cancel(trial: Trial): Promise<void> {
  await takeBack(trial);
  if (trial.kind === "kernel") return;
  const patience = AbortSignal.timeout(waitMs);
  while (!patience.aborted) {
    const report = await askDaemonOf(trial.instance);
    if (report?.config.trial?.token !== trial.token) return;
    await sleep(100);
  }
  throw new XgwError("the daemon has not gone back in time", { remedy: "see its log" });
}
