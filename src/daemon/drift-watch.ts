/**
 * Notices when something else changes what xgw has made: by the kernel's notifications and by the folders of the pins. For
 * a program that is detached from a NIC there is no notification, so that is looked at, which costs a few system calls.
 */

import { hasLostPrograms } from "../datapath/attachments.js";
import { Pins } from "../datapath/pins.js";
import { type KernelEvent, monitorKernel } from "../kernel/monitor.js";
import { routeProtocol } from "../kernel/slow-path.js";
import type { Desired } from "../model/desired.js";
import { Interest } from "./interest.js";
import type { Pending } from "./pending.js";
import { watchPins } from "./pin-watch.js";

const attachmentsEveryMs = 1000;
/** The safety net, for what no notification told: so long after the last comparison with everything, */
const fullCheckAfterMs = 60_000;
/** and so many times as long as that took, so that it takes 2 % of the time at most, with any number of tenants. */
const fullCheckRest = 49;

/** After a repair that has looked at some tenants only: somebody may have changed more, such as maps, which tell nobody. */
const doubtfulAfterMs = 5_000;
/** and so many times as long as a comparison takes. */
const doubtfulRest = 4;

export interface DriftWatch {
  /** The config has changed, and with it what there is to watch. */
  follow(desired: Desired): void;
  /** Everything has been compared, which took so long. */
  compared(tookMs: number): void;
  /** Something was amiss, and not everything has been compared. */
  doubt(): void;
  stop(): void;
}

/** How long after a comparison that took so long the next one is due, when nothing else asks for it; milliseconds. */
export const fullCheckDelay = (tookMs: number): number => Math.max(fullCheckAfterMs, fullCheckRest * tookMs);

export function watchDrift(desired: Desired, pending: Pending): DriftWatch {
  const pins = new Pins(desired.instance);
  const neighbours = new Map<string, string>();
  let interest = new Interest(desired, routeProtocol, neighbours);
  const notice = (event: KernelEvent) => {
    const { check, scope, redecide } = interest.of(event);
    if (check !== undefined) pending.check(check, scope);
    if (redecide) pending.redecide(redecide.tenants, redecide.why);
  };
  const pinWatch = watchPins(
    () => pins.folders,
    () => pending.check("pin"),
  );
  const monitor = monitorKernel(notice, () => pending.check("notifications lost"));
  const attachments = setInterval(() => {
    if (hasLostPrograms(pins)) pending.check("attachment");
  }, attachmentsEveryMs);
  let full: NodeJS.Timeout | undefined;
  let lastTookMs = 0;
  let dueMs = 0;
  const compareIn = (delayMs: number) => {
    clearTimeout(full);
    full = setTimeout(() => pending.check("full check"), delayMs);
    dueMs = performance.now() + delayMs;
  };
  const compared = (tookMs: number) => {
    lastTookMs = tookMs;
    compareIn(fullCheckDelay(tookMs));
  };
  const doubt = () => {
    const delayMs = Math.max(doubtfulAfterMs, doubtfulRest * lastTookMs);
    if (performance.now() + delayMs < dueMs) compareIn(delayMs);
  };
  compared(0);
  return {
    compared,
    doubt,
    follow(next) {
      interest = new Interest(next, routeProtocol, neighbours);
      pinWatch.renew();
    },
    stop() {
      clearInterval(attachments);
      clearTimeout(full);
      monitor.stop();
      pinWatch.close();
    },
  };
}
