// npm run test:uplink: a public side of plain IP in a VLAN of a second NIC, on real traffic.
import { readFile, writeFile } from "node:fs/promises";
import { type CheckResult, runCheck } from "./lab/check.js";
import { tearDown } from "./lab/checks/operation.js";
import { uplinkTraffic } from "./lab/checks/uplink.js";
import { exampleFile, withLab } from "./lab/lab.js";
import { checkLine } from "./lab/report.js";

const uplinkChecks = [...uplinkTraffic, tearDown];

const say = (line: string) => void process.stdout.write(`${line}\n`);

async function main([report, ...ids]: readonly string[]): Promise<void> {
  const results: CheckResult[] = [];
  const options = {
    topology: { tunnels: ["gretap", "gre"], uplink: { nic: "eth1", tags: [{ id: 100 }] } },
    config: await readFile(exampleFile("plain-uplink.yaml"), "utf8"),
  } as const;
  await withLab(options, say, async (lab) => {
    for (const check of uplinkChecks.filter(({ id }) => ids.length === 0 || ids.includes(id))) {
      const result = await runCheck(check, lab);
      say(checkLine(result));
      results.push(result);
    }
    if (results.every(({ ok }) => ok)) return;
    say(lab.xgw.daemonLog);
    process.exitCode = 1;
  });
  if (report !== undefined) await writeFile(report, JSON.stringify(results));
}

await main(process.argv.slice(2));
