/** Changes on trial: seen before they are made, taken back unless they are confirmed, whatever dies meanwhile. */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { outputSchemas } from "../../../src/cli/output/schemas.js";
import type { Check, Lab } from "../check.js";
import { stateOfPort } from "./port.js";

const port = 2222;

/** A copy of the config that opens the port, for as long as the work takes. */
async function withCopy<T>(
  { xgw }: Lab,
  work: (copy: string, asItWas: string, opened: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "xgw-trial-"));
  const asItWas = await readFile(xgw.configFile, "utf8");
  const opened = asItWas.replace("ports: [22] }", `ports: [22, ${port}] }`);
  try {
    await writeFile(join(folder, "copy.yaml"), opened);
    return await work(join(folder, "copy.yaml"), asItWas, opened);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Seconds that a trial has here: enough for an emulated kernel to try the port meanwhile. */
const trialSeconds = 12;

async function until(lab: Lab, wanted: "open" | "closed"): Promise<"open" | "closed"> {
  for (let tries = 0; tries < 30; tries++) {
    if ((await stateOfPort(lab, port)) === wanted) return wanted;
    await sleep(1000);
  }
  return wanted === "open" ? "closed" : "open";
}

export const planOfCopy: Check = {
  id: "plan-of-a-copy",
  title: "`xgw plan -c COPY` beside the daemon",
  wanted: "says from which file the daemon runs, what the edit is, and the rule that it is for; changes nothing",
  async run(lab) {
    const { xgw } = lab;
    return withCopy(lab, async (copy) => {
      const { code, stdout } = await xgw.run("plan", "-c", copy);
      const told = [
        new RegExp(`^${copy} is not in force: the daemon \\d+ follows ${xgw.configFile}`),
        /^ {2}tenant user1: inbound rule 0 changed: allow tcp 22, 2222 \(was allow tcp 22\)/m,
        /^tenant user1, changed: \d+ steps$/m,
        /^ {2}\+ inbound rule 0: allow tcp 22, 2222/m,
      ];
      const missing = told.filter((words) => !words.test(stdout));
      const after = (await xgw.run("plan")).code;
      return {
        ok: code === 1 && missing.length === 0 && after === 0,
        seen: `exit ${code}; missing: ${missing.join(" ") || "nothing"}; afterwards ${after}${missing.length > 0 ? `: ${stdout}` : ""}`,
      };
    });
  },
};

export const takenBack: Check = {
  id: "trial-taken-back",
  title: "`xgw apply -c COPY --confirm` with the daemon, unconfirmed",
  wanted: "the port opens, `status` says so, the file stays as it is; in time the port closes, with no drift",
  async run(lab) {
    const { xgw } = lab;
    return withCopy(lab, async (copy, asItWas) => {
      const drifts = xgw.timesLogged("drift repaired");
      const before = await stateOfPort(lab, port);
      const { code, stdout, stderr } = await xgw.run("apply", "-c", copy, "--confirm", `${trialSeconds}`);
      const meanwhile = await stateOfPort(lab, port);
      const { success } = outputSchemas.status.schema.safeParse(JSON.parse((await xgw.run("status", "-j")).stdout));
      const told = (await xgw.run("status")).stdout.includes(`on trial: ${copy}`);
      const file = (await readFile(xgw.configFile, "utf8")) === asItWas ? "file untouched" : "file CHANGED";
      const after = await until(lab, "closed");
      const planned = (await xgw.run("plan")).code;
      const drifted = xgw.timesLogged("drift repaired") - drifts;
      const seen = [before, meanwhile, after].join(", ");
      return {
        ok:
          code === 0 &&
          seen === "closed, open, closed" &&
          told &&
          success &&
          file === "file untouched" &&
          planned === 0 &&
          drifted === 0,
        seen: `exit ${code}; ${seen}; ${told ? "" : "not "}told${success ? "" : ", not by its schema"}; ${file}; plan ${planned}; ${drifted} drifts${code === 0 ? "" : stdout + stderr}`,
      };
    });
  },
};

export const kept: Check = {
  id: "trial-kept",
  title: "the same, with `xgw confirm`",
  wanted: "the copy is the file, and stays in force; nothing is left to do; a second `confirm` fails",
  async run(lab) {
    const { xgw } = lab;
    return withCopy(lab, async (copy, asItWas, opened) => {
      const applied = await xgw.run("apply", "-c", copy, "--confirm", `${trialSeconds}`);
      const confirmed = await xgw.run("confirm");
      const again = await xgw.run("confirm");
      await sleep(trialSeconds * 1000);
      const state = await stateOfPort(lab, port);
      const isFile = (await readFile(xgw.configFile, "utf8")) === opened;
      const planned = (await xgw.run("plan")).code;
      await xgw.causing("reconciled", () => xgw.write(asItWas));
      const codes = [applied, confirmed, again].map(({ code }) => code).join(" ");
      return {
        ok: codes === "0 0 1" && state === "open" && isFile && planned === 0,
        seen: `exits ${codes}; ${state}; ${isFile ? "installed" : "NOT installed"}; plan ${planned}${confirmed.code === 0 ? "" : confirmed.stderr}`,
      };
    });
  },
};

export const daemonDiesOnTrial: Check = {
  id: "trial-daemon-dies",
  title: "the daemon killed during a trial, and not started again",
  wanted: "the process that `apply` left takes the change back; a new daemon has nothing to do",
  async run(lab) {
    const { xgw } = lab;
    return withCopy(lab, async (copy) => {
      const { code } = await xgw.run("apply", "-c", copy, "--confirm", `${trialSeconds}`);
      await xgw.stopDaemon("SIGKILL");
      const meanwhile = await stateOfPort(lab, port);
      const after = await until(lab, "closed");
      await untilOver(lab);
      await xgw.startDaemon();
      const seen = `${meanwhile}, ${after}`;
      return {
        ok: code === 0 && seen === "open, closed" && xgw.stepsAtStart === 0,
        seen: `exit ${code}; ${seen}; new daemon: ${xgw.stepsAtStart} steps`,
      };
    });
  },
};

/** Nothing is on trial any more. */
async function untilOver({ xgw }: Lab): Promise<void> {
  for (let tries = 0; tries < 60 && (await xgw.run("apply")).code !== 0; tries++) await sleep(1000);
}

export const withoutDaemon: Check = {
  id: "trial-without-daemon",
  title: "a trial without a daemon, another one in between, and a plain `xgw apply` during it",
  wanted: "the plain one is refused; both are taken back to what was there before the first",
  async run(lab) {
    const { xgw } = lab;
    return withCopy(lab, async (copy, _asItWas, opened) => {
      await xgw.stopDaemon("SIGTERM");
      await xgw.run("apply");
      const first = await xgw.run("apply", "-c", copy, "--confirm", "60");
      const meanwhile = await stateOfPort(lab, port);
      const refused = await xgw.run("apply");
      await writeFile(copy, opened.replace(`22, ${port}`, `22, ${port}, 2223`));
      const second = await xgw.run("apply", "-c", copy, "--confirm", `${trialSeconds}`);
      const after = await until(lab, "closed");
      await untilOver(lab);
      const planned = (await xgw.run("plan")).code;
      await xgw.startDaemon();
      const codes = [first, refused, second].map(({ code }) => code).join(" ");
      const seen = `${meanwhile}, ${after}`;
      return {
        ok: codes === "0 1 0" && seen === "open, closed" && planned === 0 && xgw.stepsAtStart === 0,
        seen: `exits ${codes}; ${seen}; plan ${planned}; new daemon: ${xgw.stepsAtStart} steps${first.code === 0 ? "" : first.stderr}`,
      };
    });
  },
};

export const trials: readonly Check[] = [planOfCopy, takenBack, kept, daemonDiesOnTrial, withoutDaemon];
