// npm run test:uplink: a public side of plain IP in a VLAN of a second NIC, on real traffic, with one tenant on a gretap
// tunnel and one on a gre tunnel.
import "./path.js";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { canRunHere } from "./anywhere.js";
import { runCheck } from "./lab/check.js";
import { uplinkChecks } from "./lab/checks/uplink.js";
import { exampleFile, withLab } from "./lab/lab.js";
import { checkLine } from "./lab/report.js";

const timeoutMs = 20 * 60_000;
const say = (line: string) => void process.stdout.write(`${line}\n`);

async function main(argv: readonly string[]): Promise<void> {
  if (!(await canRunHere(fileURLToPath(import.meta.url), argv, timeoutMs))) return;
  const options = {
    topology: { tunnels: ["gretap", "gre"], uplink: { nic: "eth1", tags: [{ id: 100 }] } },
    config: await readFile(exampleFile("plain-uplink.yaml"), "utf8"),
    bulkBytes: 10 * 2 ** 20,
  } as const;
  await withLab(options, say, async (lab) => {
    for (const check of uplinkChecks) {
      const result = await runCheck(check, lab);
      say(checkLine(result));
      if (!result.ok) process.exitCode = 1;
    }
    if (process.exitCode === 1) say(lab.xgw.daemonLog);
  });
}

await main(process.argv.slice(2));
