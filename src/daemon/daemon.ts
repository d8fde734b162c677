/**
 * The daemon: one piece of work at a time. The config is applied at the start, when it changes and on SIGHUP; what somebody
 * else changes is put right, with the config that is in force. Traffic needs no daemon, so any end of it is harmless.
 */

import { XgwError } from "../errors.js";
import type { InForce } from "../gateway.js";
import { tenantsMax } from "../repair.js";
import { type ConfigSource, triedAgain } from "./config-source.js";
import { type DriftWatch, watchDrift } from "./drift-watch.js";
import type { DaemonLog, Emit } from "./events.js";
import { HealthWatch } from "./health-watch.js";
import { InTheWay } from "./in-the-way.js";
import { InstanceClaim } from "./instance-claim.js";
import { Pending, type Work } from "./pending.js";
import { type Failed, Reconciler } from "./reconciler.js";
import { Redecider } from "./redecider.js";
import { Repairs } from "./repairs.js";

/** A config that could not be put in force, though nothing is wrong with it, is tried again after this time, */
const retryMs = 5000;
/** and so many times as long as the attempt took, so that attempts take a fifth of the time at most. */
const retryRest = 4;

export interface DaemonOptions {
  readonly log: DaemonLog;
  /** Ends the daemon, and leaves all traffic running. */
  readonly stop: AbortSignal;
  /** Tells a service manager, by assignments as of sd_notify(3). */
  readonly tell?: (...assignments: readonly string[]) => Promise<void>;
  readonly emit?: Emit;
  /** Told of each config that is in force. */
  readonly onInForce?: (inForce: InForce) => void;
}

/** The first reconciliation must succeed; later failures leave what is in force. */
export async function runDaemon(source: ConfigSource, options: DaemonOptions): Promise<void> {
  const { log, stop, tell = async () => {}, emit = () => {}, onInForce = () => {} } = options;
  const pending = new Pending({ tenantsMax, onPutOff: (putOff) => emit("putOff", putOff) });
  const watcher = source.watch((why) => pending.reload(why));
  const claim = new InstanceClaim();
  const inTheWay = new InTheWay(log, (count) => emit("inTheWay", { count }));
  const reconciler = new Reconciler(source, log, emit, onInForce, claim, inTheWay);
  try {
    const inForce = await reconciler.start();
    const health = new HealthWatch(inForce, { log, onSeen: (findings) => emit("health", { findings }) });
    const drift = watchDrift(inForce.desired, pending, emit, () => health.lookSoon());
    const options = { log, tell, emit, onInForce };
    const worker = new Worker(pending, drift, reconciler, inTheWay, health, options, inForce);
    health.follow(inForce);
    log.info({ pid: process.pid }, "running");
    await tell("READY=1");
    try {
      for (let work = await pending.next(stop); work; work = await pending.next(stop)) await worker.carryOut(work);
    } finally {
      await tell("STOPPING=1");
      drift.stop();
      health.stop();
    }
  } finally {
    watcher.close();
    claim.release();
  }
  log.info({}, "stopped; traffic goes on");
}

/** Does one piece of work after the other, and knows what is in force. */
class Worker {
  private readonly repairs: Repairs;
  private readonly redecider: Redecider;
  /** A change or a repair has not come to its end: the kernel may have something else than what is in force. */
  private isDoubtful = false;
  /** A newer config waits for something that hinders it. Nothing of it is in the kernel yet. */
  private isHindered = false;

  constructor(
    private readonly pending: Pending,
    private readonly drift: DriftWatch,
    private readonly reconciler: Reconciler,
    private readonly inTheWay: InTheWay,
    private readonly health: HealthWatch,
    private readonly options: Required<Omit<DaemonOptions, "stop">>,
    private inForce: InForce,
  ) {
    this.repairs = new Repairs(options.log, pending, options.emit);
    this.redecider = new Redecider(options.log, pending, options.emit);
  }

  async carryOut(work: Work): Promise<void> {
    switch (work.kind) {
      case "redecide":
        return this.redecider.redecide(work, this.inForce.config);
      case "reclaim":
        return this.redecider.reclaim(this.inForce);
      case "reload":
        await this.reload(work);
        return;
      case "check":
        return this.check(work);
    }
  }

  /** @returns whether the config is in force now */
  private async reload({ why, isDoubtful }: Pick<Work & { kind: "reload" }, "why" | "isDoubtful">): Promise<boolean> {
    const { pending, drift, reconciler } = this;
    await this.options.tell("RELOADING=1");
    const started = performance.now();
    const isQuick = !this.isDoubtful && !isDoubtful && !drift.full.isDoubtful;
    const next = await pending.causedBy(() => reconciler.follow(why, this.inForce, isQuick ? drift : undefined));
    this.isHindered = next === "hindered";
    if (next === "hindered" || next === "half-way")
      pending.reloadLater(triedAgain, Math.max(retryMs, retryRest * (performance.now() - started)));
    if (next === "half-way") {
      this.isDoubtful = true;
      pending.check("change failed");
    } else if (typeof next !== "string") {
      this.isDoubtful = false; // everything has been compared, or nothing was doubtful
      this.inForce = next;
      this.health.follow(next);
    }
    drift.follow(this.inForce.desired);
    await this.options.tell("READY=1", `STATUS=${typeof next === "string" ? statusOf[next] : "in step"}`);
    return typeof next !== "string";
  }

  private async check(work: Work & { kind: "check" }): Promise<void> {
    if (this.isHindered && !work.scope && (await this.isNewerInForce())) return;
    const compared = await this.repairs.run(work, this.inForce);
    if (compared === "some tenants") this.drift.full.doubt();
    if (compared instanceof XgwError) {
      this.isDoubtful = true;
      this.health.failed(compared);
      return;
    }
    if (typeof compared !== "object") {
      this.health.lookSoon();
      return;
    }
    this.isDoubtful = false;
    const { tookMs, converged } = compared;
    this.drift.full.compared(tookMs);
    this.pending.reclaim(); // XDP leaves templates, and tells nobody
    this.inTheWay.seen(converged.warnings);
    // What a config is made into depends on what there is: MTUs, conntrack's timeouts, and which ids are taken.
    const { desired, constants, context } = converged;
    this.inForce = { config: this.inForce.config, desired, constants, context };
    this.health.follow(this.inForce);
    if (converged.steps.length === 0) return;
    this.drift.follow(this.inForce.desired);
    this.options.onInForce(this.inForce);
  }

  /** What has changed may be the hindrance: then the older config is not put back only to be replaced. */
  private async isNewerInForce(): Promise<boolean> {
    const started = performance.now();
    if (!(await this.reload({ why: triedAgain, isDoubtful: true }))) return false;
    this.pending.reloaded();
    this.pending.comparedEverything(performance.now() - started);
    return true;
  }
}

/** What status the service manager is told. */
const statusOf: Readonly<Record<Failed, string>> = {
  refused: "config refused; the last good one is in force",
  hindered: "config hindered; it is tried again, and the last good one is in force",
  "half-way": "change failed; it is tried again, and the last good config is in force",
};
