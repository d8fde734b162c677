/** What is not xgw's and stands in the way, as the last comparison with everything saw it: said when it comes and goes. */

import type { DaemonLog } from "./events.js";

export class InTheWay {
  private known: ReadonlySet<string> = new Set();

  constructor(
    private readonly log: DaemonLog,
    /** Told how many there are, whenever that may have changed. */
    private readonly onSeen: (count: number) => void,
  ) {}

  /** @param problems in words; undefined where nobody has looked */
  seen(problems: readonly string[] | undefined): void {
    if (problems === undefined) return;
    const now = new Set(problems);
    for (const problem of now) if (!this.known.has(problem)) this.log.warn({ problem }, "something is in the way");
    for (const problem of this.known) if (!now.has(problem)) this.log.info({ problem }, "no longer in the way");
    this.known = now;
    this.onSeen(now.size);
  }
}
