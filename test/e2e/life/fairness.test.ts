// The daemon under a tenant whose hosts change their link-layer addresses all the time: it waits, and nobody else does.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DaemonReport } from "../../../src/daemon-socket.js";
import { Namespace, tryRun } from "../../../vm/lab/netns.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const xgw = [process.execPath, join(root, "dist/xgw/lib/main.js")];
/** Of the command line; the file comes with its folder. */
const config = ["-c", ""];

/** The tenant that never rests: every so often one of its hosts has another address. */
const noiseEveryMs = 5;
/** Within this time other work is under way, milliseconds. */
const fairMs = 1000;

const hostile = `name: hostile
key: 3000
addresses: [10.0.0.1/16]
routes: [{ to: 10.0.0.0/16, via: 172.168.0.13 }]
`;
const newcomer = `name: newcomer
key: 4000
routes: [{ to: 10.0.0.7/32, via: 172.168.0.14 }]
`;

/** Of the daemon's log; `time` is in ISO 8601. */
interface Line {
  readonly msg: string;
  readonly time: string;
  readonly reason?: string;
  readonly durationMs?: number;
  readonly tookMs?: number;
  readonly why?: readonly string[];
  readonly compared?: string;
  readonly repaired?: readonly string[];
}

let gateway: Namespace;
let folder: string;
let daemon: ChildProcess;
let log = "";

beforeAll(async () => {
  for (const name of ["vrf", "ip_gre", "nf_flow_table", "nf_conntrack"]) await tryRun("modprobe", ["-q", name]);
  folder = mkdtempSync(join(tmpdir(), "xgw-fair-"));
  mkdirSync(join(folder, "tenants.d"));
  config[1] = join(folder, "xgw.yaml");
  writeFileSync(join(folder, "xgw.yaml"), readFileSync(join(root, "examples/two-tenants.yaml")));
  writeTenant("hostile", hostile);
  gateway = await Namespace.create(`xgw${process.pid}-fair`);
  await gateway.ip("link add eth0 type veth peer name wire", "addr add 172.168.0.1/24 dev eth0");
  await gateway.ip("link set eth0 up", "link set wire up");
  daemon = gateway.spawn([...xgw, "run", ...config], { ...process.env, XGW_LOG: "debug" });
  daemon.stderr?.on("data", (data: Buffer) => {
    log += data.toString();
  });
  await logged(0, ({ msg }) => msg === "running");
});
afterAll(async () => {
  const ended = once(daemon, "exit");
  daemon.kill();
  await ended;
  await gateway.run(...xgw, "teardown", ...config);
  await gateway.delete();
  rmSync(folder, { recursive: true });
});

/** As an editor writes it. */
function writeTenant(name: string, text: string): void {
  writeFileSync(join(folder, name), text);
  renameSync(join(folder, name), join(folder, "tenants.d", `${name}.yaml`));
}

/** Those logged from this offset on. */
const linesSince = (from: number): Line[] =>
  log
    .slice(from)
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);

/** Waits for one that is logged from this offset on. */
async function logged(from: number, isMeant: (line: Line) => boolean): Promise<Line> {
  for (const deadline = performance.now() + 120_000; ; await sleep(50)) {
    const line = linesSince(from).find(isMeant);
    if (line) return line;
    if (performance.now() > deadline || daemon.exitCode !== null)
      throw new Error(`the daemon did not log it: ${log.slice(from)}`);
  }
}

/** Makes the noise while it acts. @returns what is logged meanwhile */
async function underNoise(act: () => Promise<unknown>): Promise<Line[]> {
  const from = log.length;
  const ip = gateway.spawn(["ip", "-force", "-batch", "-"]);
  let change = 0;
  const noise = setInterval(() => {
    const host = `10.0.1.${change % 250}`;
    const mac = `02:00:00:00:${(change >> 8) & 255}:${change & 255}`.replace(
      /:(\d+)/g,
      (_, byte) => `:${Number(byte).toString(16).padStart(2, "0")}`,
    );
    ip.stdin?.write(`neigh replace ${host} lladdr ${mac} dev xgre3000 nud reachable\n`);
    change++;
  }, noiseEveryMs);
  try {
    await sleep(2500);
    await act();
  } finally {
    clearInterval(noise);
    const ended = once(ip, "close");
    ip.stdin?.end();
    await ended;
  }
  return linesSince(from);
}

const isRedecision = ({ msg }: Line) => msg.includes("flows decided anew");

async function report(): Promise<DaemonReport> {
  const { stdout } = await gateway.tryRun(...xgw, "status", "-j", ...config);
  return (JSON.parse(stdout) as { daemon: DaemonReport }).daemon;
}

/** Milliseconds from now until the config is begun to be put in force. */
async function untilUnderWay(edit: () => void, from = log.length): Promise<number> {
  const editedAt = Date.now();
  edit();
  const { time, durationMs = 0 } = await logged(from, ({ msg }) => msg === "reconciled");
  return Date.parse(time) - durationMs - editedAt;
}

describe("under a tenant whose hosts change their addresses all the time", () => {
  it("another's flows are decided anew within 1 s", async () => {
    await gateway.ip("neigh replace 10.0.0.7 lladdr 02:00:00:00:00:01 dev xgre2000 nud reachable");
    await underNoise(async () => {
      const from = log.length;
      await gateway.ip("neigh replace 10.0.0.7 lladdr 02:00:00:00:00:02 dev xgre2000 nud reachable");
      const line = await logged(from, (one) => isRedecision(one) && (one.why?.join() ?? "").includes("xgre2000"));
      expect(line.tookMs).toBeLessThan(fairMs);
    });
  });

  it("its own flows are decided anew a few times, and what waits is counted", async () => {
    const lines = await underNoise(() => sleep(2500));
    const times = lines.filter(isRedecision).length;
    expect([times > 0, times <= 8], `${times} redecisions`).toEqual([true, true]);
    expect((await report()).putOff.redecisions.hostile).toBeGreaterThan(0);
  });

  it("a repair is under way within 1 s", async () => {
    await underNoise(async () => {
      const from = log.length;
      await gateway.ip("route del 10.0.0.7/32 table 100002");
      const { tookMs } = await logged(from, ({ msg }) => msg === "drift repaired");
      expect(tookMs).toBeLessThan(2 * fairMs); // with the repair itself, emulated
    });
  });

  it("the edit that removes the tenant is under way within 1 s", async () => {
    let waitedMs = Number.POSITIVE_INFINITY;
    await underNoise(async () => {
      waitedMs = await untilUnderWay(() => rmSync(join(folder, "tenants.d", "hostile.yaml")));
    });
    expect(waitedMs).toBeLessThan(fairMs);
  });
});

describe("a config without mistakes that something is in the way of", () => {
  it("is put in force when that has gone, without another edit", async () => {
    await gateway.ip("link add xgre4000 type dummy");
    const from = log.length;
    writeTenant("newcomer", newcomer);
    await logged(from, ({ msg }) => msg.startsWith("reconciliation failed"));
    await gateway.ip("link del xgre4000");
    expect((await logged(from, ({ msg }) => msg === "reconciled")).reason).toBe("tried again");
  });

  it("is not tried again when another edit has taken its place", async () => {
    await gateway.ip("link add xgre3000 type dummy");
    let from = log.length;
    writeTenant("hostile", hostile);
    await logged(from, ({ msg }) => msg.startsWith("reconciliation failed"));
    from = log.length;
    rmSync(join(folder, "tenants.d", "hostile.yaml"));
    await logged(from, ({ msg }) => msg === "reconciled");
    await sleep(7000);
    await gateway.ip("link del xgre3000");
    expect(
      linesSince(from)
        .filter(({ msg }) => msg.startsWith("reconcil"))
        .map(({ reason }) => reason),
    ).toEqual(["config changed"]);
  });
});
