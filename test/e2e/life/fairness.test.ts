// The daemon under a tenant whose hosts change their link-layer addresses all the time: it waits, and nobody else does.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Namespace, tryRun } from "../../../vm/lab/netns.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const xgw = [process.execPath, join(root, "dist/xgw/lib/main.js")];
/** Of the command line; the file comes with its folder. */
const config = ["-c", ""];

/** The tenant that never rests: every so often one of its hosts has another address. */
const noiseEveryMs = 5;
/** So many rounds in which flows are decided anew may come before other work that is waiting: on any machine, however slow. */
const roundsMax = 4;

const hostile = `name: hostile
key: 3000
addresses: [10.0.0.1/16]
routes: [{ to: 10.0.0.0/16, via: 172.168.0.13 }]
`;
const newcomer = `name: newcomer
key: 4000
routes: [{ to: 10.0.0.7/32, via: 172.168.0.14 }]
`;

/** Of the daemon's log. */
interface Line {
  readonly msg: string;
  readonly reason?: string;
  readonly why?: readonly string[];
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
  for (const deadline = performance.now() + 400_000; ; await sleep(50)) {
    const line = linesSince(from).find(isMeant);
    if (line) return line;
    if (performance.now() > deadline || daemon.exitCode !== null)
      throw new Error(`the daemon did not log it: ${log.slice(from)}`);
  }
}

/** Makes the noise while it acts. */
async function underNoise(act: () => Promise<unknown>): Promise<void> {
  const ip = gateway.spawn(["ip", "-force", "-batch", "-"]);
  ip.stdout?.resume();
  ip.stderr?.resume();
  ip.stdin?.on("error", () => {}); // it has ended with the tunnel
  const ended = once(ip, "close");
  let change = 0;
  const noise = setInterval(() => {
    const byte = (change & 255).toString(16).padStart(2, "0");
    ip.stdin?.write(`neigh replace 10.0.1.${change % 250} lladdr 02:00:00:00:00:${byte} dev xgre3000 nud reachable\n`);
    change++;
  }, noiseEveryMs);
  try {
    await logged(log.length, (line) => isRedecision(line) && isOf(line, "xgre3000"));
    await act();
  } finally {
    clearInterval(noise);
    ip.stdin?.end();
    await ended;
  }
}

const isRedecision = ({ msg }: Line) => msg.includes("flows decided anew");
const isOf = ({ why = [] }: Line, device: string) => why.some((one) => one.endsWith(device));

/** Rounds in which the tenant's flows were decided anew, until what the act leads to was logged. */
async function roundsUntil(act: () => unknown, isMeant: (line: Line) => boolean): Promise<number> {
  const from = log.length;
  await act();
  await logged(from, isMeant);
  const lines = linesSince(from);
  return lines.slice(0, lines.findIndex(isMeant)).filter(isRedecision).length;
}

describe("under a tenant whose hosts change their addresses all the time, soon come", () => {
  let rounds: number;
  const soon = (act: () => unknown, isMeant: (line: Line) => boolean) => async () => {
    await underNoise(async () => {
      rounds = await roundsUntil(act, isMeant);
    });
    expect(rounds).toBeLessThanOrEqual(roundsMax);
  };
  const neighbour = (mac: string) => gateway.ip(`neigh replace 10.0.0.7 lladdr ${mac} dev xgre2000 nud reachable`);

  it("another's flows to their turn", async () => {
    await neighbour("02:00:00:00:00:01");
    await soon(
      () => neighbour("02:00:00:00:00:02"),
      (line) => isRedecision(line) && isOf(line, "xgre2000"),
    )();
  });

  it(
    "a repair",
    soon(
      () => gateway.ip("route del 10.0.0.7/32 table 100002"),
      ({ msg }) => msg === "drift repaired",
    ),
  );

  it(
    "SIGHUP",
    soon(
      () => daemon.kill("SIGHUP"),
      ({ msg, reason }) => msg === "reconciled" && reason === "SIGHUP",
    ),
  );

  it(
    "the edit that removes the tenant",
    soon(
      () => rmSync(join(folder, "tenants.d", "hostile.yaml")),
      ({ msg }) => msg === "reconciled",
    ),
  );
});

it("a tenant that never rests has its flows decided anew a few times in all", async () => {
  await logged(0, ({ msg, reason }) => msg === "reconciled" && reason === "config changed");
  const from = log.length;
  writeTenant("hostile", hostile);
  await logged(from, ({ msg }) => msg === "reconciled");
  const started = performance.now();
  await underNoise(() => sleep(5000));
  const timesMax = 6 + (performance.now() - started) / 2000;
  expect(linesSince(from).filter(isRedecision).length).toBeLessThanOrEqual(timesMax);
  rmSync(join(folder, "tenants.d", "hostile.yaml"));
  await logged(log.length, ({ msg }) => msg === "reconciled");
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
