/** What `xgw monitor` shows while packets are dropped. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Happened } from "../../../src/monitor/schema.js";
import type { Check } from "../check.js";

/** Enough for the command to begin where the CPU is emulated, milliseconds. */
const beginMs = 8000;
const [host, port] = ["1.1.1.7", 22];

export const dropsShown: Check = {
  id: "drops-shown",
  title: `\`xgw monitor\` while user1 tries ${host}:${port}, and a host that no route leads to`,
  wanted: "the denial with the rule's file and line, and a drop by the kernel with the kernel's reason",
  async run({ xgw, user1 }) {
    const watching = xgw.run("monitor", "-j", "--seconds", "20", "--tenant", "user1");
    await sleep(beginMs);
    for (const target of [
      { host, port },
      { host: "203.0.113.77", port: 9 },
    ])
      await user1.connectTcp({ ...target, seed: 9, bytes: 8, timeoutMs: 2500 }).catch(() => undefined);
    const { stdout } = await watching;
    const events = stdout.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Happened]));
    const denied = events.find(({ rule, destination }) => rule?.place !== undefined && destination === host);
    const byKernel = events.find(({ kind }) => kind === "kernel_drop");
    const where = denied?.rule?.place;
    return {
      ok: where !== undefined && where.line > 0 && byKernel !== undefined,
      seen: `${denied?.kind} ${denied?.reason} at ${where?.file}:${where?.line}; by the kernel: ${byKernel?.reason}`,
    };
  },
};
