/** Has flows decided anew, and gives back what that leaves over. */

import type { Config } from "../config/schema.js";
import { toXgwError } from "../errors.js";
import { giveTemplatesBack, type InForce, redecide } from "../gateway.js";
import type { DaemonLog, Emit } from "./events.js";
import { locked } from "./locked.js";
import type { Pending } from "./pending.js";
import type { Redecision } from "./redecisions.js";

/** What could not be decided anew is tried again. */
const retryMs = 5000;

export class Redecider {
  constructor(
    private readonly log: DaemonLog,
    private readonly pending: Pending,
    private readonly emit: Emit,
  ) {}

  async redecide({ tenants, why, sinceMs }: Redecision, config: Config): Promise<void> {
    const started = performance.now();
    try {
      await locked(config, async () => redecide(config.instance, tenants), { isOwnOnly: true });
      const tookMs = Math.round(performance.now() - sinceMs);
      this.emit("redecided", { why, tenants: tenants.length });
      this.log.info({ why, tenants: tenants.length, tookMs }, "way has changed, flows decided anew");
    } catch (thrown) {
      const error = toXgwError(thrown);
      this.log.error({ noticed: why, ...error.toJSON() }, "flows not decided anew; it is tried again");
      this.emit("repairFailed", { noticed: why, error });
      setTimeout(() => this.pending.redecide("tried again", tenants, why.join(", ")), retryMs).unref();
    }
    this.pending.redecided(performance.now() - started);
  }

  /** That it fails harms nobody: the next comparison with everything leads to another attempt. */
  async reclaim({ config, desired }: InForce): Promise<void> {
    const started = performance.now();
    const tenants = desired.tenants.map(({ id }) => id);
    try {
      await locked(config, () => giveTemplatesBack(config.instance, tenants), { isOwnOnly: true });
    } catch (error) {
      this.log.warn({ ...toXgwError(error).toJSON() }, "templates could not be given back");
    }
    this.pending.reclaimed(performance.now() - started);
  }
}
