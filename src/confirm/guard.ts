/**
 * Who takes a trial back when its time is over: a process of its own, which outlives the shell or session that began it. Where a
 * daemon runs, that does it first, and the guard only sees to it that it is done; where none runs any more, the guard does.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { forgetApplied, keepApplied } from "../applied.js";
import { loadConfig } from "../config/load.js";
import { crashPoint } from "../crash.js";
import { findDaemon } from "../daemon-socket.js";
import { toXgwError } from "../errors.js";
import { apply, teardown } from "../gateway.js";
import { startDetached } from "../kernel/spawn.js";
import { withLock } from "../lock.js";
import { endTrial, readTrial, secondsLeft, type Trial, writeTrial } from "../trial.js";

/** The command that the guard is. */
export const guardWords = (file: string) => ["confirm", "--guard", "-c", file];

/**
 * @param program the words by which `xgw` is started
 * @throws XgwError when it ends before it guards
 */
export function startGuard({ file }: Trial, [program, ...words]: readonly [string, ...string[]]): Promise<void> {
  return startDetached(program, [...words, ...guardWords(file)]);
}

/** How long the daemon has for it by itself, seconds. */
const daemonsSeconds = 5;
/** A way back that fails is tried again. */
const retryMs = 5000;
const lockWaitMs = 30_000;

/**
 * Until the trial that there is now has ended, by whoever. Another one has a guard of its own.
 *
 * @param ready called once it is known which trial that is
 */
export async function guard(file: string, ready: () => void): Promise<void> {
  const token = readTrial(file)?.token;
  ready();
  for (;;) {
    const trial = readTrial(file);
    if (!trial || trial.token !== token) return;
    const left = secondsLeft(trial) + (trial.kind === "file" ? daemonsSeconds : 0);
    if (left > 0) await sleep(Math.min(left, 1) * 1000);
    else if (!(await tryBack(trial))) await sleep(retryMs);
  }
}

async function tryBack(trial: Trial): Promise<boolean> {
  try {
    await takeBack(trial, (now) => secondsLeft(now) <= 0);
    return true;
  } catch (thrown) {
    const { message, remedy } = toXgwError(thrown);
    if (readTrial(trial.file)?.token === trial.token)
      writeTrial({ ...trial, failure: remedy === undefined ? message : `${message}; ${remedy}` });
    return false;
  }
}

/**
 * What was in force before the trial is again.
 *
 * @param isMeant asked once more when nobody else is at work: the trial may have been given its time only then
 * @throws XgwError as `apply` does; the trial has not ended then
 */
export async function takeBack(trial: Trial, isMeant: (now: Trial) => boolean = () => true): Promise<void> {
  const { instance } = trial;
  const daemon = await findDaemon(trial.file, instance);
  // It goes by its file, and sees the end of the trial.
  if (daemon.state !== "none") return endTrial(trial);
  await withLock({ instance, purpose: "confirm", waitMs: lockWaitMs }, async () => {
    const now = readTrial(trial.file);
    if (now?.token !== trial.token || !isMeant(now)) return;
    crashPoint("taking back");
    const before = trial.kind === "file" ? (await loadConfig(trial.file)).config : trial.before;
    if (before) {
      await apply(before);
      keepApplied(before);
    } else {
      await teardown(instance);
      forgetApplied(instance);
    }
    crashPoint("taken back");
    endTrial(trial);
  });
}
