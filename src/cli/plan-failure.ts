/** `plan` says "changes pending" with exit code 1, so its own failures need another. */

import { exitCodes, toXgwError, XgwError } from "../errors.js";

class PlanFailed extends XgwError {
  override readonly exitCode = exitCodes.usage;
}

export function asPlanFailure(thrown: unknown): never {
  const error = toXgwError(thrown);
  if (error.exitCode !== exitCodes.failed) throw error;
  throw new PlanFailed(error.message, {
    cause: error,
    details: error.details,
    ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
  });
}
