/** A bound on the time of work that cannot be interrupted otherwise, because it never waits for anything. */

import { Script } from "node:vm";

/** The work has taken longer than it may. */
export class TooSlowError extends Error {
  constructor(readonly limitMs: number) {
    super(`took longer than ${limitMs} ms`);
  }
}

/** Where the script finds the work; one at a time, since it is synchronous. */
const place = Symbol.for("xgw.in-time");
const script = new Script(`globalThis[Symbol.for("xgw.in-time")]()`);

/**
 * Does synchronous work, and breaks it off where it stands when it takes too long: what it was at must not be used then. Costs
 * a fraction of a millisecond.
 *
 * @throws TooSlowError, and what the work throws
 */
export function inTime<T>(limitMs: number, work: () => T): T {
  const global = globalThis as { [place]?: () => T };
  global[place] = work;
  try {
    return script.runInThisContext({ timeout: limitMs }) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException)?.code === "ERR_SCRIPT_EXECUTION_TIMEOUT") throw new TooSlowError(limitMs);
    throw error;
  } finally {
    delete global[place];
  }
}
