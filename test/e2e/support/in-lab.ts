/** A lab whose checks are tests, one each: the lab is built once, and the checks are run in their order. */

import { afterAll, beforeAll, expect, it, onTestFailed } from "vitest";
import { type Check, checkTimeoutMs } from "../../../vm/lab/check.js";
import { type LabOptions, type RunningLab, startLab } from "../../../vm/lab/lab.js";

const say = (line: string) => void process.stderr.write(`${line}\n`);

export function inLab(options: () => Promise<LabOptions>, checks: readonly Check[]): void {
  let lab: RunningLab;
  beforeAll(async () => {
    lab = await startLab(await options(), say);
  }, checkTimeoutMs);
  afterAll(() => lab?.stop(), checkTimeoutMs);

  for (const check of checks)
    it(
      `${check.title}: ${check.wanted}`,
      async () => {
        const { daemonLog } = lab.xgw;
        onTestFailed(() =>
          say(lab.xgw.daemonLog.startsWith(daemonLog) ? lab.xgw.daemonLog.slice(daemonLog.length) : lab.xgw.daemonLog),
        );
        const { ok, seen } = await check.run(lab);
        say(`${check.id}: ${seen}`);
        expect(ok, `seen: ${seen}; wanted: ${check.wanted}`).toBe(true);
      },
      checkTimeoutMs,
    );
}
