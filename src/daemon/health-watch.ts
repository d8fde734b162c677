/**
 * Looks at what keeps the gateway from working although every step is in place: after each comparison and each change, and when
 * others' packet filters change. Says so when something else is found than before.
 */

import { toComparison } from "../doctor.js";
import { toXgwError } from "../errors.js";
import { countFindings, countsText, type Finding } from "../finding.js";
import type { InForce } from "../gateway.js";
import { examine } from "../health/checks.js";
import { observeHealth } from "../health/observe.js";
import type { Counters, Observed } from "../health/snapshot.js";
import type { Comparison } from "../health/surroundings.js";
import type { DaemonLog } from "./events.js";

/** What happens together is looked at together. */
const quietMs = 1000;
/** So many times as long as a look took passes before the next, so that looks take 2 % of the time at most. */
const rest = 49;
/** What is counted is compared with what it was so long ago, at least. */
const windowMs = 60_000;

export interface HealthWatchOptions {
  readonly log: DaemonLog;
  /** Told what there is after each look. */
  readonly onSeen: (findings: readonly Finding[]) => void;
  readonly observe?: (inForce: InForce) => Observed;
}

const observeInForce = ({ desired, config }: InForce) => observeHealth(desired, config.flows);

/** Of a finding, whatever figures it has. */
const keyOf = ({ id, severity, subject }: Finding) => `${severity} ${id}${subject === "" ? "" : ` (${subject})`}`;

export class HealthWatch {
  private known: ReadonlyMap<string, Finding> = new Map();
  private timer: NodeJS.Timeout | undefined;
  private notBeforeMs = 0;
  private earlier: Counters | undefined;
  private latest: Counters | undefined;
  private comparison: Comparison | undefined;

  constructor(
    private inForce: InForce,
    private readonly options: HealthWatchOptions,
  ) {}

  /** A config is in force, or still is: it was compared with the kernel. */
  follow(inForce: InForce): void {
    this.inForce = inForce;
    this.comparison = { pending: 0, isBoundaryOpen: false };
    this.lookSoon();
  }

  /** What differs could not be put right. */
  failed(error: Parameters<typeof toComparison>[0]): void {
    this.comparison = toComparison(error);
    this.lookSoon();
  }

  lookSoon(): void {
    if (this.timer) return;
    const waitMs = Math.max(quietMs, this.notBeforeMs - performance.now());
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.look();
    }, waitMs).unref();
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  private look(): void {
    const { log, onSeen, observe = observeInForce } = this.options;
    const startedMs = performance.now();
    try {
      const observed = observe(this.inForce);
      const findings = examine({ ...observed, earlier: this.earlier, comparison: this.comparison });
      this.remember(observed.counters);
      this.tell(findings);
      onSeen(findings);
    } catch (error) {
      // Devices come and go between two questions: what matters is seen by the next look.
      log.debug({ ...toXgwError(error).toJSON() }, "health could not be looked at");
    }
    const endedMs = performance.now();
    this.notBeforeMs = endedMs + rest * (endedMs - startedMs);
  }

  /** So that there is always one that is as old as the window, and none twice as old while looks go on. */
  private remember(counters: Counters): void {
    this.earlier ??= counters;
    this.latest ??= counters;
    if (counters.atMs - this.latest.atMs < windowMs) return;
    this.earlier = this.latest;
    this.latest = counters;
  }

  private tell(findings: readonly Finding[]): void {
    const now = new Map(findings.map((finding) => [keyOf(finding), finding]));
    const found = [...now].filter(([key]) => !this.known.has(key));
    const gone = [...this.known.keys()].filter((key) => !now.has(key));
    this.known = now;
    if (found.length === 0 && gone.length === 0) return;
    const { log } = this.options;
    const fields = {
      health: countsText(countFindings(findings)),
      found: found.map(([key, { what, remedy }]) => `${key}: ${what}; ${remedy}`),
      gone,
    };
    if (found.some(([, { severity }]) => severity !== "note")) log.warn(fields, "health has changed");
    else log.info(fields, "health has changed");
  }
}
