/** The daemon's work is done under the instance's lock, as that of every command is. */

import type { Config } from "../config/schema.js";
import { type LockOptions, withLock } from "../lock.js";

const waitMs = 30_000;

type Kind = Pick<LockOptions, "isOwnOnly">;

/** @throws BusyError when another process does not let go of the lock in time */
export const locked = <T>({ instance }: Config, work: () => Promise<T>, kind: Kind = {}): Promise<T> =>
  withLock({ instance, purpose: "run", waitMs, ...kind }, work);
