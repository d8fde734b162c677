/** Puts right what somebody else has changed, and counts. */

import { toXgwError, type XgwError } from "../errors.js";
import { type Converged, type InForce, repair } from "../gateway.js";
import { describeStep } from "../plan/describe.js";
import type { Step } from "../plan/steps.js";
import { repairTenants, type Scope } from "../repair.js";
import type { Check } from "./checks.js";
import type { DaemonLog, Emit } from "./events.js";
import { locked } from "./locked.js";
import type { Pending } from "./pending.js";

/** A repair that failed is tried again, for what was in its way may not be seen to go. */
const retryMs = 5000;
/** Of a drift's steps in the log. */
const stepsLogged = 20;

function told(steps: readonly Step[]): string[] {
  const some = steps.slice(0, stepsLogged).map(describeStep);
  return steps.length > stepsLogged ? [...some, `and ${steps.length - stepsLogged} more`] : some;
}

/** With everything. */
export interface Compared {
  readonly converged: Converged;
  /** Without the wait for the lock. */
  readonly tookMs: number;
}

export class Repairs {
  private drifts = 0;

  constructor(
    private readonly log: DaemonLog,
    private readonly pending: Pending,
    private readonly emit: Emit,
  ) {}

  /** @returns what came of the comparison with everything; or that a look at some tenants alone has put something right; or why not */
  async run(check: Check, inForce: InForce): Promise<Compared | "some tenants" | XgwError | undefined> {
    const { config } = inForce;
    const { scope } = check;
    let compared: Compared | undefined;
    const compare = async (): Promise<Converged> => {
      const taken: Step[] = [];
      const quick = scope && (await this.tryQuickly(inForce, scope, taken));
      if (quick) return quick;
      const started = performance.now();
      try {
        const converged = await repair(config);
        compared = { converged, tookMs: performance.now() - started };
        return { ...converged, steps: [...taken, ...converged.steps] };
      } finally {
        this.pending.comparedEverything(performance.now() - started);
      }
    };
    try {
      const converged = await locked(config, compare);
      this.report(check, converged, compared ? "everything" : `${scope?.tenants.size} tenants`);
      return compared ?? (converged.steps.length > 0 ? "some tenants" : undefined);
    } catch (thrown) {
      const error = toXgwError(thrown);
      this.log.error({ noticed: check.why, ...error.toJSON() }, "repair failed; it is tried again");
      this.emit("repairFailed", { noticed: check.why, error });
      setTimeout(() => this.pending.check("repair failed"), retryMs).unref();
      return error;
    }
  }

  /** A look at the tenants that the notifications name, and nothing else. */
  private async tryQuickly(inForce: InForce, scope: Scope, taken: Step[]): Promise<Converged | undefined> {
    try {
      return await repairTenants(inForce, scope, taken);
    } catch (error) {
      this.log.warn({ ...toXgwError(error).toJSON() }, "repair of some tenants failed, comparing everything");
      return undefined;
    }
  }

  private report({ why, sinceMs }: Check, { steps, doneMs }: Converged, compared: string): void {
    const since = (ms: number) => Math.round(ms - sinceMs);
    const verifiedMs = since(performance.now());
    if (steps.length === 0) {
      this.log.debug({ noticed: why, compared, verifiedMs }, "in step");
      return;
    }
    this.drifts++;
    const tookMs = since(doneMs);
    this.emit("repaired", { noticed: why, steps, tookMs });
    this.log.warn(
      {
        noticed: why,
        compared,
        steps: steps.length,
        repaired: told(steps),
        tookMs,
        verifiedMs,
        driftsSinceStart: this.drifts,
      },
      "drift repaired",
    );
  }
}
