/**
 * xgw as a process that waits for orders, in the gateway's namespace: lines of JSON on standard input, `{ id, do, ... }`, each
 * answered by one line. What is loaded before is not waited for, so that an order costs what the work costs. A worker can
 * be told to die at one point of its work.
 *
 * It is bundled, and runs the version of the BPF programs that it lies beside: see build.mjs.
 */

import { applyChange, type Surroundings } from "../../src/change.js";
import { loadConfig } from "../../src/config/load.js";
import { armCrash, crashPoints } from "../../src/crash.js";
import { apply, type InForce, type Plan, plan, teardown } from "../../src/gateway.js";
import { readLinks } from "../../src/kernel/rtnetlink.js";
import { withLock } from "../../src/lock.js";
import { describeStep } from "../../src/plan/describe.js";
import { repairTenants } from "../../src/repair.js";
import { serveOrders } from "./orders.js";

interface Order extends Work {
  readonly id: number;
}

export interface Work {
  /**
   * change: from the config that was applied last, without a look at tenants that do not change, where that can be.
   * repair: of some tenants, with the config that was applied last.
   */
  readonly do: "apply" | "change" | "plan" | "repair" | "teardown";
  readonly configFile: string;
  /** The point to die at. */
  readonly crashAt?: number;
  /** Of a repair. */
  readonly tenants?: readonly number[];
  /** Keys of elements, by set. */
  readonly elements?: Readonly<Record<string, readonly string[]>>;
}

/** What a worker did. */
export interface Done {
  readonly steps: readonly string[];
  /** The points at which it could have died. */
  readonly points: readonly string[];
  /** Of a change: without a look at the others. */
  readonly isQuick?: boolean;
}

const described = ({ steps }: Plan) => steps.map(describeStep);

let inForce: InForce | undefined;

/** What the daemon knows by notifications, looked up. */
const surroundings: Surroundings = {
  hasVrfOf: (routeTable) => readLinks().some(({ vrf }) => vrf?.routeTable === routeTable),
  expect: () => {},
};

async function carryOut(order: Order): Promise<Done> {
  const { config } = await loadConfig(order.configFile);
  armCrash(order.crashAt);
  const locked = <T>(work: () => Promise<T>) =>
    withLock({ instance: config.instance, purpose: "test", waitMs: 10_000 }, work);
  if (order.do === "plan") return { steps: described(await plan(config)), points: [] };
  if (order.do === "apply" || order.do === "change") {
    const from = order.do === "change" ? inForce : undefined;
    inForce = undefined;
    const [done, isQuick] = await locked(async (): Promise<[Plan, boolean]> => {
      const quick = from && (await applyChange(config, from, surroundings));
      return [quick ?? (await apply(config)), quick !== undefined];
    });
    inForce = { ...done, config };
    return { steps: described(done), points: crashPoints(), isQuick };
  }
  if (order.do === "repair") {
    if (!inForce) throw new Error("nothing was applied");
    const elements = new Map(Object.entries(order.elements ?? {}).map(([set, keys]) => [set, new Set(keys)]));
    const done = await repairTenants(inForce, { tenants: new Set(order.tenants), elements }, []);
    return { steps: done ? described(done) : ["compare everything"], points: crashPoints() };
  }
  const { attachments, devices, table } = await locked(() => teardown(config.instance));
  return { steps: [...attachments, ...devices, ...(table ? ["table"] : [])], points: crashPoints() };
}

serveOrders(carryOut);
