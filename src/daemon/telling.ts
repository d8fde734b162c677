/** What others may know of the daemon: by its socket, and as metrics. */

import { resolve } from "node:path";
import { answerAs } from "../daemon-socket.js";
import type { InForce } from "../gateway.js";
import type { Logger } from "../log.js";
import { readMetrics } from "../metrics.js";
import { nobody } from "../model/desired.js";
import type { DaemonEvents, Emit } from "./events.js";
import { MetricsServer } from "./metrics-server.js";
import { DaemonRecord } from "./record.js";

export interface Telling {
  readonly emit: Emit;
  onInForce(inForce: InForce): void;
  stop(): void;
}

/** @throws BusyError when there is a daemon with this config already */
export async function startTelling(configFile: string, log: Logger): Promise<Telling> {
  const record = new DaemonRecord();
  let inForce: InForce | undefined;
  /** Of the tenants, by id. */
  let names: ReadonlyMap<number, string> = new Map();
  const metrics = new MetricsServer(async () => (inForce ? readMetrics(inForce.desired, record.report()) : []), log);
  const on: { readonly [K in keyof DaemonEvents]: (event: DaemonEvents[K]) => void } = {
    reconciled: ({ tookMs, trial }) => {
      record.applied(trial);
      record.took("reconcile", tookMs);
    },
    refused: ({ error }) => record.refused(error),
    repaired: ({ steps, tookMs }) => {
      record.repaired(steps);
      record.took("repair", tookMs);
    },
    redecided: () => record.redecided(),
    repairFailed: () => record.repairFailed(),
    putOff: ({ what, tenant }) =>
      what === "check" ? record.checkPutOff() : record.redecisionPutOff(names.get(tenant ?? nobody) ?? ""),
    notificationsLost: () => record.notificationsLost(),
    inTheWay: ({ count }) => record.inTheWay(count),
    health: ({ findings }) => record.health(findings),
    neighbourForgotten: ({ tenant }) => record.neighbourForgotten(names.get(tenant) ?? ""),
  };
  const answering = await answerAs(configFile, () => {
    const report = record.report();
    return {
      ...report,
      config: { ...report.config, file: resolve(configFile) },
      ...(inForce ? { instance: inForce.config.instance } : {}),
    };
  });
  return {
    emit: (name, event) => on[name](event),
    onInForce(next) {
      inForce = next;
      names = new Map(next.desired.tenants.map(({ id, name }) => [id, name]));
      void metrics.follow(next.config);
    },
    stop() {
      answering.close();
      metrics.close();
    },
  };
}
