/** Puts configs in force. */

import { applyChange, type Surroundings } from "../change.js";
import type { Config } from "../config/schema.js";
import { ConfigError, formatProblem, toXgwError, type XgwError } from "../errors.js";
import { apply, type Converged, type InForce, type Plan } from "../gateway.js";
import { describeStep } from "../plan/describe.js";
import { outlineOf } from "../plan/outline.js";
import { secondsLeft } from "../trial.js";
import { askedFor, type ConfigSource } from "./config-source.js";
import { toldEdits } from "./edits.js";
import type { DaemonLog, Emit } from "./events.js";
import type { InTheWay } from "./in-the-way.js";
import type { InstanceClaim } from "./instance-claim.js";
import { locked } from "./locked.js";

/** Why a config is not in force. */
export type Failed = "refused" | "hindered" | "half-way";

type Applied = Plan & Partial<Pick<Converged, "flowsLeft" | "before">>;

export class Reconciler {
  constructor(
    private readonly source: ConfigSource,
    private readonly log: DaemonLog,
    private readonly emit: Emit,
    private readonly onInForce: (inForce: InForce) => void,
    private readonly claim: InstanceClaim,
    private readonly inTheWay: InTheWay,
  ) {}

  /** @throws whatever is wrong */
  start(): Promise<InForce> {
    return this.reconcile("start", undefined, (config) => apply(config));
  }

  /**
   * @param surroundings not given when something of what is in force may have been changed by others
   * @returns refused: the config in force stays the one that it is; hindered: so it does, nothing was changed, and another
   *   attempt may succeed; half-way: the same, but the kernel may be between both
   */
  async follow(reason: string, inForce: InForce, surroundings: Surroundings | undefined): Promise<InForce | Failed> {
    let isChanged = false;
    const onChange = () => {
      isChanged = true;
    };
    try {
      return await this.reconcile(reason, inForce.config, async (config) => {
        const isQuick = surroundings !== undefined && reason !== askedFor;
        const quick = isQuick ? await this.tryQuickly(config, inForce, surroundings, onChange) : undefined;
        return quick ?? apply(config, onChange);
      });
    } catch (thrown) {
      const error = this.logFailure(thrown);
      this.emit("refused", { reason, error });
      if (error instanceof ConfigError) return "refused";
      return isChanged ? "half-way" : "hindered";
    }
  }

  /** What it leaves half done when it fails is found by the comparison with everything. */
  private async tryQuickly(
    config: Config,
    inForce: InForce,
    surroundings: Surroundings,
    onFailure: () => void,
  ): Promise<Plan | undefined> {
    try {
      return await applyChange(config, inForce, surroundings);
    } catch (error) {
      onFailure();
      this.log.warn({ ...toXgwError(error).toJSON() }, "change failed half-way, comparing everything");
      return undefined;
    }
  }

  /** @param was the config that was in force before */
  private async reconcile(
    reason: string,
    was: Config | undefined,
    work: (config: Config) => Promise<Applied>,
  ): Promise<InForce> {
    const started = performance.now();
    const { config, warnings, trial, sources } = await this.source.load(reason);
    for (const warning of warnings) this.log.warn({ problem: formatProblem(warning) }, "config warning");
    this.claim.claim(config.instance);
    const applied = await locked(config, () => work(config));
    const { steps, desired, constants, context, flowsLeft = 0 } = applied;
    this.logSteps(applied);
    if (flowsLeft > 0) this.log.warn({ flows: flowsLeft }, "flows have no room in the table, the kernel carries them");
    this.inTheWay.seen(applied.warnings);
    const tookMs = Math.round(performance.now() - started);
    const { instance, tenants } = config;
    const edits = was ? toldEdits(was, config, sources) : [];
    const changed = edits.length > 0 ? { edits } : {};
    this.log.info(
      { instance, reason, tenants: tenants.length, ...changed, steps: steps.length, durationMs: tookMs },
      "reconciled",
    );
    const inForce: InForce = { config, desired, constants, context };
    if (trial)
      this.log.warn({ from: trial.from, secondsLeft: Math.round(secondsLeft(trial)) }, "the config is on trial");
    this.emit("reconciled", { reason, steps, tookMs, ...(trial ? { trial } : {}) });
    this.onInForce(inForce);
    return inForce;
  }

  /** Tens of thousands of steps are put into words only where somebody reads them. */
  private logSteps({ steps, wanted, observed, before = observed }: Applied): void {
    if (this.log.isLevelEnabled?.("debug") === false || steps.length === 0) return;
    const { tenants, shared } = outlineOf({ steps, wanted, observed: before });
    for (const step of shared) this.log.debug({ step: describeStep(step) }, "step done");
    for (const { name: tenant, items } of tenants)
      for (const { part, item, steps } of items)
        for (const step of steps)
          this.log.debug(
            { tenant, for: item === "" ? part : `${part} ${item}`, step: describeStep(step) },
            "step done",
          );
  }

  private logFailure(thrown: unknown): XgwError {
    const error = toXgwError(thrown);
    if (error instanceof ConfigError) {
      for (const problem of error.problems) this.log.error({ problem: formatProblem(problem) }, "config error");
      this.log.error({}, "config refused; the last good one stays in force");
    } else
      this.log.error(
        { ...error.toJSON() },
        "reconciliation failed; it is tried again, and the last good config stays in force",
      );
    return error;
  }
}
