/** The kernel's notifications about devices, addresses, routes, neighbours, rules and nft tables, as lines of text. */

import { setTimeout as sleep } from "node:timers/promises";
import { type Followed, follow } from "./spawn.js";

export interface KernelMonitor {
  stop(): void;
}

export type MonitorSource = "ip" | "nft";

const commands: readonly (readonly [MonitorSource, string, readonly string[]])[] = [
  ["ip", "ip", ["-o", "monitor", "link", "address", "route", "rule", "neigh", "label"]],
  ["nft", "nft", ["monitor"]],
];

const restartMs = 1000;

/**
 * Listens until stopped. A monitor that ends (netlink's buffer may overflow) is started again.
 *
 * @param onGap called when one has been started again: what happened in between was not seen
 */
export function monitorKernel(onLine: (source: MonitorSource, line: string) => void, onGap: () => void): KernelMonitor {
  let stopped = false;
  const running = new Map<MonitorSource, Followed>();
  const keep = async (source: MonitorSource, program: string, args: readonly string[]) => {
    for (let first = true; !stopped; first = false) {
      const followed = follow(program, args, (line) => onLine(source, line));
      running.set(source, followed);
      if (!first) onGap();
      await followed.ended;
      if (!stopped) await sleep(restartMs, undefined, { ref: false });
    }
  };
  for (const [source, program, args] of commands) void keep(source, program, args);
  return {
    stop() {
      stopped = true;
      for (const followed of running.values()) followed.stop();
    },
  };
}
