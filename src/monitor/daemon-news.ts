/** What the daemon has done between two reports of its own. */

import type { DaemonReport } from "../daemon-socket.js";
import type { DaemonEvent } from "./schema.js";

type News = Omit<DaemonEvent, "time">;

/** @param was undefined where there was no daemon */
export function daemonNews(was: DaemonReport | undefined, now: DaemonReport | undefined): News[] {
  if (!now) return was ? [{ kind: "daemon", what: `the daemon (process ${was.pid}) does not answer any more` }] : [];
  if (!was) return [{ kind: "daemon", what: `a daemon is there (process ${now.pid})` }];
  if (was.pid !== now.pid || was.startedAt !== now.startedAt)
    return [{ kind: "daemon", what: `another daemon is there (process ${now.pid})` }];
  return [...configNews(was, now), ...repairNews(was, now), ...redecideNews(was, now)];
}

function configNews({ config: was }: DaemonReport, { config: now }: DaemonReport): News[] {
  if (now.state === "bad" && now.problems.join() !== was.problems.join())
    return [{ kind: "config", what: "the config is refused", details: [...now.problems] }];
  return now.inForceSince === was.inForceSince ? [] : [{ kind: "config", what: "a config is applied" }];
}

function repairNews(was: DaemonReport, now: DaemonReport): News[] {
  const failed = now.repairFailures - was.repairFailures;
  const failures: News[] = failed > 0 ? [{ kind: "repair", what: "a repair failed: it is tried again" }] : [];
  if (now.drifts === was.drifts) return failures;
  const details = Object.entries(now.repairs)
    .map(([thing, steps]) => ({ thing, steps: steps - (was.repairs[thing] ?? 0) }))
    .filter(({ steps }) => steps > 0)
    .map(({ thing, steps }) => `${thing}: ${steps} ${steps === 1 ? "step" : "steps"}`);
  return [...failures, { kind: "repair", what: "something was changed, and is put right", details }];
}

function redecideNews(was: DaemonReport, now: DaemonReport): News[] {
  return now.redecisions === was.redecisions
    ? []
    : [{ kind: "redecide", what: "flows are decided anew, for their way has changed" }];
}
