/** What the daemon tells of what it does: to its log, and to who embeds it. */

import type { XgwError } from "../errors.js";
import type { Finding } from "../finding.js";
import type { Step } from "../plan/steps.js";
import type { FileTrial } from "../trial.js";
import type { PutOff } from "./pending.js";

/** What the daemon logs by; a pino logger is one. */
export interface DaemonLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** Missing where it cannot be told. */
  isLevelEnabled?(level: "debug"): boolean;
}

/** What has happened, for who embeds the daemon. Times in milliseconds. */
export interface DaemonEvents {
  /** A config is in force: the first, a changed one, or the same again. */
  reconciled: {
    readonly reason: string;
    readonly steps: readonly Step[];
    readonly tookMs: number;
    /** The trial that the config is on; missing of what is for good. */
    readonly trial?: FileTrial;
  };
  /** A config is not taken, and the last good one stays in force. Without mistakes in it, it is tried again. */
  refused: { readonly reason: string; readonly error: XgwError };
  /** Something else had changed what is ours, and it is right again. */
  repaired: { readonly noticed: readonly string[]; readonly steps: readonly Step[]; readonly tookMs: number };
  /** Flows of some tenants are decided anew, because their way has changed. */
  redecided: { readonly why: readonly string[]; readonly tenants: number };
  /** It is tried again every 5 s. */
  repairFailed: { readonly noticed: readonly string[]; readonly error: XgwError };
  /** Work has to wait, because who causes it has had its share of the daemon's time. */
  putOff: PutOff;
  /** More happened than the kernel could tell, so that everything is compared. */
  notificationsLost: Record<never, never>;
  /** So many things that are not xgw's stand in the way of what the config promises: see the log. */
  inTheWay: { readonly count: number };
  /** What keeps the gateway from working, or may, was looked at: all of it, the worst first. */
  health: { readonly findings: readonly Finding[] };
  /** A tenant's hosts have so many link-layer addresses that the one used longest ago is forgotten; 0: nobody's. */
  neighbourForgotten: { readonly tenant: number };
}

export type Emit = <K extends keyof DaemonEvents>(name: K, event: DaemonEvents[K]) => void;
