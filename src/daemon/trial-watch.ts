/** A trial of the daemon's file: whether there is one, and when it begins and ends. */

import { endTrial, type FileTrial, readTrial, secondsLeft, trialPath } from "../trial.js";
import { PathWatch } from "./path-watch.js";

/** Undefined when there is none, or its time is over: then it is ended. */
export function liveTrial(file: string, directory: string): FileTrial | undefined {
  const trial = readTrial(file, directory);
  if (trial?.kind !== "file") return undefined;
  if (secondsLeft(trial) > 0) return trial;
  endTrial(trial, directory);
  return undefined;
}

/** @param changed called when another trial is there than before, or none any more */
export function watchTrial(file: string, changed: () => void, directory: string): { close(): void } {
  let timer: NodeJS.Timeout | undefined;
  let token = liveTrial(file, directory)?.token;
  const path = new PathWatch(() => look());
  const look = () => {
    clearTimeout(timer);
    path.follow(trialPath(file, directory));
    const trial = liveTrial(file, directory);
    // A timer's clock is not the one that the trial ends by, which goes on while the machine sleeps.
    if (trial) timer = setTimeout(look, Math.min(secondsLeft(trial), 10) * 1000).unref();
    if (trial?.token === token) return;
    token = trial?.token;
    changed();
  };
  look();
  return {
    close() {
      clearTimeout(timer);
      path.close();
    },
  };
}
