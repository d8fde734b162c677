/**
 * What the service manager is told, when there is one (sd_notify(3)). By the program that comes with it, since Node.js has
 * no Unix datagrams; the unit must have `NotifyAccess=all`.
 */

import { run } from "../kernel/spawn.js";
import type { Logger } from "../log.js";

export interface ServiceManager {
  /** Resolves when it is told; never rejects. */
  tell(...assignments: readonly string[]): Promise<void>;
  stop(): void;
}

/** Begins with the watchdog's pings, which say that the daemon still answers, if the unit asks for them. */
export function serviceManager(env: NodeJS.ProcessEnv, log: Logger): ServiceManager {
  if (!env.NOTIFY_SOCKET) return { tell: async () => {}, stop: () => {} };
  const tell = async (...assignments: readonly string[]) => {
    try {
      await run("systemd-notify", assignments, { timeoutMs: 5000 });
    } catch (error) {
      log.warn({ error: (error as Error).message }, "the service manager cannot be told");
    }
  };
  const watchdogMs = Number(env.WATCHDOG_USEC ?? 0) / 1000;
  const timer = watchdogMs > 0 ? setInterval(() => void tell("WATCHDOG=1"), watchdogMs / 3) : undefined;
  return { tell, stop: () => clearInterval(timer) };
}
