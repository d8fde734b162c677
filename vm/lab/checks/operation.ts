/** What an operator does, and what happens to one. */

import { readFile, rename, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Check } from "../check.js";
import { snapshot } from "../snapshot.js";
import { stateOfPort } from "./port.js";
import { measuredTransfer } from "./traffic.js";

export const stayInStep: Check = {
  id: "second-apply",
  title: "a second `xgw apply`",
  wanted: "changes nothing; `plan` exits with 0",
  async run({ xgw }) {
    const applied = await xgw.run("apply", "-j");
    const steps = (JSON.parse(applied.stdout) as { steps?: unknown[] }).steps?.length;
    const planned = await xgw.run("plan");
    const ok = applied.code === 0 && steps === 0 && planned.code === 0;
    return { ok, seen: `apply: exit ${applied.code}, ${steps} steps; plan: exit ${planned.code}` };
  },
};

/** A file as editors write it: beside the old one, then in its place. */
async function replaceFile(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

export const configEdited: Check = {
  id: "config-edited",
  title: "the config edited under the daemon: a port opened, then a mistake, then as it was, by SIGHUP",
  wanted:
    "the port opens; the mistake changes nothing and is logged with its place, the edit by what it changed, and `status` has its figures all the same; the port closes; no drift is seen",
  async run({ client, user1, xgw }) {
    const asItWas = await readFile(xgw.configFile, "utf8");
    const drifts = () => xgw.timesLogged("drift repaired");
    const driftsBefore = drifts();
    const opened = asItWas.replace("ports: [22] }", "ports: [22, 2222] }");
    const connects = () => stateOfPort({ client, user1 }, 2222);
    const first = await connects();
    await xgw.causing("reconciled", () => replaceFile(xgw.configFile, opened));
    const second = await connects();
    const refused = "config refused; the last good one stays in force";
    await xgw.causing(refused, () => replaceFile(xgw.configFile, opened.replace("key: 1000", "key: ten")));
    const third = await connects();
    const status = await xgw.run("status", "-j");
    const { error, tenants } = JSON.parse(status.stdout) as { error?: { code: string }; tenants?: { name: string }[] };
    const told = `${status.code} ${error?.code} ${tenants?.map(({ name }) => name)}`;
    const named = xgw.daemonLog.includes("tenant user1: inbound rule 0 changed: allow tcp 22, 2222 (was allow tcp 22)");
    const placed = /xgw\.yaml:\d+:\d+: tenants\[0\]\.key/.test(xgw.daemonLog);
    await xgw.causing("reconciled", async () => {
      await writeFile(xgw.configFile, asItWas);
      xgw.signalDaemon("SIGHUP");
    });
    await xgw.settled();
    const fourth = await connects();
    const seen = [first, second, third, fourth].join(", ");
    const drifted = drifts() - driftsBefore;
    return {
      ok:
        seen === "closed, open, open, closed" &&
        placed &&
        named &&
        told === "2 XGW_CONFIG user1,user2" &&
        drifted === 0,
      seen: `${seen}; place ${placed ? "" : "not "}logged, edit ${named ? "" : "not "}named; status: ${told}; ${drifted} drifts`,
    };
  },
};

export const daemonKilled: Check = {
  id: "daemon-killed",
  title: "the daemon killed with SIGKILL during a transfer, then a new `xgw run`",
  wanted: "no packet lost; nothing for the new one to do",
  async run({ client, user1, xgw }) {
    const to = { host: "2.2.2.11", port: 5000, localPort: 40001, bytes: 1200 };
    await user1.serveUdp(5000);
    await client.streamUdp({ ...to, count: 20, intervalMs: 20 }); // the flow is learned
    const [before, samplesBefore] = [await xgw.tenant("user1"), await xgw.samples("user1")];
    const stream = client.streamUdp({ ...to, count: 100_000, intervalMs: 5 });
    await sleep(1000);
    await xgw.stopDaemon("SIGKILL");
    await sleep(1000);
    await xgw.startDaemon();
    await sleep(1000);
    client.stopStream();
    const { sent, received, reordered } = await stream;
    await user1.close(5000);
    const byXdp = (await xgw.tenant("user1")).packets.forwarded - before.packets.forwarded;
    const samples = (await xgw.samples("user1")) - samplesBefore;
    const ok = received === sent && xgw.stepsAtStart === 0 && byXdp + samples >= 2 * sent;
    const daemon = `new daemon: ${xgw.stepsAtStart} steps`;
    return {
      ok,
      seen: `${received} of ${sent} echoed, ${reordered} reordered, ${byXdp} packets by XDP, ${samples} samples; ${daemon}`,
    };
  },
};

export const flowtableCarries: Check = {
  id: "flowtable",
  title: "the same transfer with XDP detached",
  wanted: "the nft flowtable carries it: [OFFLOAD] in conntrack, few packets by the rest of the stack",
  async run(lab) {
    const { xgw } = lab;
    await xgw.stopDaemon("SIGTERM");
    await xgw.namespace.run("bpftool", "link", "detach", "pinned", "/sys/fs/bpf/xgw/gw1/links/xdp_eth0");
    let offloaded = 0;
    let watching = true;
    const watch = (async () => {
      while (watching) {
        offloaded = Math.max(offloaded, (await xgw.conntrack("dst=2.2.2.11", "dport=22", "[OFFLOAD]")).length);
        await sleep(200);
      }
    })();
    const { intact, tiers, flowtable, stack } = await measuredTransfer(lab);
    watching = false;
    await watch;
    const repaired = await xgw.run("apply");
    await xgw.startDaemon();
    const ok = intact && tiers.xdp === 0 && offloaded > 0 && flowtable > 99 * stack && repaired.code === 0;
    const sums = intact ? "sums equal" : "sums DIFFERENT";
    return { ok, seen: `${sums}, ${offloaded} connections [OFFLOAD]: ${flowtable} packets, ${stack} by the stack` };
  },
};

export const tearDown: Check = {
  id: "teardown",
  title: "`xgw teardown`",
  wanted: "no device, rule, route, pin or program of xgw is left; foreign ones are untouched",
  async run({ topology, xgw, before }) {
    await xgw.stopDaemon("SIGTERM");
    const { code, stderr } = await xgw.run("teardown");
    await xgw.endCommands();
    const after = await snapshot(topology.hosts.gateway);
    const lines = (text: string) => new Set(text.split("\n"));
    const [had, has] = [lines(before), lines(after)];
    const left = [...has].filter((line) => !had.has(line));
    const lost = [...had].filter((line) => !has.has(line));
    const seen = [`exit ${code}`, `${left.length} lines more, ${lost.length} less`, ...left, ...lost, stderr.trim()];
    return { ok: code === 0 && left.length === 0 && lost.length === 0, seen: seen.filter(Boolean).join("; ") };
  },
};
