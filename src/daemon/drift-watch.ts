/**
 * Notices when something else changes what xgw has made: by the kernel's notifications and by the folders of the pins. For a
 * program that is detached from a NIC or netfilter there is no notification, so that is looked at, which costs a few system
 * calls.
 */

import type { Surroundings } from "../change.js";
import { hasLostPrograms } from "../datapath/attachments.js";
import { Pins } from "../datapath/pins.js";
import { monitorKernel } from "../kernel/monitor.js";
import type { Desired } from "../model/desired.js";
import { routeProtocol } from "../plan/owner.js";
import type { Emit } from "./events.js";
import { FullCheck } from "./full-check.js";
import { Interest, type Notice } from "./interest.js";
import { NeighbourMemory } from "./neighbour-memory.js";
import type { Pending } from "./pending.js";
import { watchPins } from "./pin-watch.js";

const attachmentsEveryMs = 1000;

export interface DriftWatch extends Surroundings {
  /** The config has changed, and with it what there is to watch. */
  follow(desired: Desired): void;
  readonly full: Pick<FullCheck, "compared" | "doubt" | "isDoubtful">;
  stop(): void;
}

/** @param onOthersFilters called when somebody else's packet filter has changed */
export function watchDrift(desired: Desired, pending: Pending, emit: Emit, onOthersFilters: () => void): DriftWatch {
  const pins = new Pins(desired.instance);
  const neighbours = new NeighbourMemory();
  const interestIn = (one: Desired) =>
    new Interest(one, routeProtocol, neighbours, (routeTable) => monitor.hasVrfOf(routeTable));
  let interest = interestIn(desired);
  const notice = ({ check, scope, redecide, forgotNeighbourOf, isOthersFilter }: Notice) => {
    if (check !== undefined) pending.check(check, scope);
    if (redecide) pending.redecide(redecide.by, redecide.tenants, redecide.why);
    if (forgotNeighbourOf !== undefined) emit("neighbourForgotten", { tenant: forgotNeighbourOf });
    if (isOthersFilter) onOthersFilters();
  };
  const full = new FullCheck((why) => pending.check(why));
  const pinWatch = watchPins(
    () => pins.folders,
    (path) => notice(interest.ofPin(path)),
  );
  const monitor = monitorKernel(
    (event) => notice(interest.of(event)),
    () => {
      emit("notificationsLost", {});
      full.lost();
    },
  );
  const attachments = setInterval(() => {
    if (hasLostPrograms(pins)) pending.check("attachment");
  }, attachmentsEveryMs);
  return {
    full,
    hasVrfOf: monitor.hasVrfOf,
    expect: (tenants) => interest.expect(tenants),
    follow(next) {
      interest = interestIn(next);
      pinWatch.renew();
    },
    stop() {
      clearInterval(attachments);
      full.stop();
      monitor.stop();
      pinWatch.close();
    },
  };
}
