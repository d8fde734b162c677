// Config edits and drift under a running daemon, on real traffic: the lab, run once. For test/e2e/reconcile.test.ts.
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type CheckResult, runCheck } from "./lab/check.js";
import { drifts } from "./lab/checks/drift.js";
import { revocations } from "./lab/checks/revocation.js";
import { seedLab, withLab } from "./lab/lab.js";
import { checkLine } from "./lab/report.js";

export const reconcileChecks = [...revocations, ...drifts];

const say = (line: string) => void process.stdout.write(`${line}\n`);

async function main([report, ...ids]: readonly string[]): Promise<void> {
  const results: CheckResult[] = [];
  await withLab(await seedLab("gretap"), say, async (lab) => {
    for (const check of reconcileChecks.filter(({ id }) => ids.length === 0 || ids.includes(id))) {
      const result = await runCheck(check, lab);
      say(checkLine(result));
      results.push(result);
    }
    if (results.some(({ ok }) => !ok)) say(lab.xgw.daemonLog);
  });
  if (report !== undefined) await writeFile(report, JSON.stringify(results));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
