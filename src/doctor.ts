/** What is wrong with a gateway, by a look at the config, the kernel and the daemon. Changes nothing. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Config } from "./config/schema.js";
import type { DaemonState } from "./daemon-socket.js";
import { PermissionError, toXgwError, type XgwError } from "./errors.js";
import { countFindings, type Finding, type FindingCounts } from "./finding.js";
import { type Plan, plan } from "./gateway.js";
import { examine } from "./health/checks.js";
import { observeHealth } from "./health/observe.js";
import type { Comparison, Daemon } from "./health/surroundings.js";
import { checkCapabilities } from "./kernel/preflight.js";
import { readLinks } from "./kernel/rtnetlink.js";
import { buildDesired } from "./model/build.js";
import { tenantsOf } from "./observe/recorded.js";
import { idsOfOthers } from "./observe/slow-path.js";

/** As `xgw doctor -j` prints it: docs/output/doctor.schema.json. */
export interface Health {
  readonly instance: string;
  readonly counts: FindingCounts;
  /** The worst first. */
  readonly findings: readonly Finding[];
}

export interface Diagnosis {
  readonly health: Health;
  /** What `plan` says, or why it says nothing. */
  readonly compared: Plan | XgwError;
}

export interface DiagnoseOptions {
  /** As it was found; what it is is not judged when not given. */
  readonly daemon?: DaemonState | undefined;
  /** Between two looks at what is counted, milliseconds; 0: one look, which cannot tell what is going on from what is over. */
  readonly watchMs?: number;
}

/** How long `doctor` and `status --check` watch counters, milliseconds. */
export const watchMs = 1000;

/** @throws PermissionError; all else that is in the way is a finding */
export async function diagnose(config: Config, { daemon, watchMs = 0 }: DiagnoseOptions = {}): Promise<Diagnosis> {
  checkCapabilities();
  const compared = await plan(config).catch(asFailure);
  const look = () => {
    const links = readLinks();
    return observeHealth(desiredOf(config, links), config.flows, links);
  };
  const earlier = watchMs > 0 ? look().counters : undefined;
  await sleep(watchMs);
  const findings = examine({
    ...look(),
    ...(earlier ? { earlier } : {}),
    comparison: toComparison(compared),
    ...(daemon ? { daemon: toDaemon(daemon) } : {}),
  });
  return { health: { instance: config.instance, counts: countFindings(findings), findings }, compared };
}

function asFailure(thrown: unknown): XgwError {
  const error = toXgwError(thrown);
  if (error instanceof PermissionError) throw error;
  return error;
}

/** Also where the kernel cannot be compared with it. */
function desiredOf(config: Config, links: ReturnType<typeof readLinks>) {
  const ids = new Map(tenantsOf(config.instance, links).map(({ key, id }) => [key, id]));
  const taken = idsOfOthers(config.instance, links);
  return buildDesired(config, ids, (id) => taken.has(id));
}

export function toComparison(compared: Plan | XgwError): Comparison {
  if ("steps" in compared) {
    const { steps, wanted, observed } = compared;
    return { pending: steps.length, isBoundaryOpen: observed.devices.size > 0 && wanted.rules !== observed.rules };
  }
  return { failure: compared };
}

function toDaemon(daemon: DaemonState): Daemon {
  if (daemon.state !== "answers") return daemon;
  const { state, problems } = daemon.report.config;
  return { state: "answers", isConfigRefused: state === "bad", problems };
}
