/** A change for good waits for one that is on trial: it would be taken back with it. */

import { BusyError } from "../errors.js";
import { endTrial, secondsLeft, trialOf } from "../trial.js";

/**
 * The caller holds the lock.
 *
 * @throws BusyError when a change of the instance is on trial. One that could not be taken back in time is over: this change decides
 */
export function checkNoTrial(instance: string): void {
  const trial = trialOf(instance);
  if (!trial) return;
  const left = Math.ceil(secondsLeft(trial));
  if (left > 0)
    throw new BusyError(`a change of instance ${instance} is on trial for ${left} s more`, {
      remedy: `keep it with \`xgw confirm -c ${trial.file}\`, or take it back with \`xgw confirm --cancel -c ${trial.file}\``,
    });
  endTrial(trial);
}
