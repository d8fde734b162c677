// What concerns one tenant the daemon does with a look at that tenant: not even its own work makes it look at the others.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CommandLine } from "../../../vm/lab/command-line.js";
import { Namespace, tryRun } from "../../../vm/lab/netns.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const xgw = [process.execPath, join(root, "dist/xgw/lib/main.js")];
/** Of the command line; the file comes with its folder. */
const config = ["-c", ""];

const newcomer = `name: third
key: 3000
tunnel: gre
addresses: [10.0.0.1/24]
routes: [{ to: 10.0.0.7/32, via: 172.168.0.13 }]
publicIps: [{ address: 2.2.2.13, to: 10.0.0.7 }]
policy: { inbound: [{ allow: tcp, ports: [22] }] }
`;

/** A comparison, as the daemon logs it. */
interface Compared {
  readonly msg: "drift repaired" | "in step";
  readonly noticed: readonly string[];
  readonly compared: string;
}

let gateway: Namespace;
let folder: string;
let daemon: ChildProcess;
let commands: CommandLine;
let log = "";

beforeAll(async () => {
  for (const name of ["vrf", "ip_gre", "nf_flow_table", "nf_conntrack"]) await tryRun("modprobe", ["-q", name]);
  folder = mkdtempSync(join(tmpdir(), "xgw-one-"));
  mkdirSync(join(folder, "tenants.d"));
  config[1] = join(folder, "xgw.yaml");
  copyFileSync(join(root, "examples/two-tenants.yaml"), join(folder, "xgw.yaml"));
  gateway = await Namespace.create(`xgw${process.pid}-one`);
  await gateway.ip("link add eth0 type veth peer name wire", "addr add 172.168.0.1/24 dev eth0");
  await gateway.ip("link set eth0 up", "link set wire up");
  daemon = gateway.spawn([...xgw, "run", ...config], { ...process.env, XGW_LOG: "debug" });
  daemon.stderr?.on("data", (data: Buffer) => {
    log += data.toString();
  });
  commands = new CommandLine(gateway);
  await until(() => log.includes('"msg":"running"'));
});
afterAll(async () => {
  const ended = once(daemon, "exit");
  daemon.kill();
  await ended;
  await commands.run("teardown", ...config);
  await commands.stop();
  await gateway.delete();
  rmSync(folder, { recursive: true });
});

async function until(isSo: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 120_000; !isSo(); await sleep(50))
    if (performance.now() > deadline || daemon.exitCode !== null) throw new Error(`the daemon did not log it: ${log}`);
}

/** Those logged from this offset on. */
function comparedSince(from: number): readonly Compared[] {
  return log
    .slice(from)
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Compared)
    .filter(({ msg }) => msg === "drift repaired" || msg === "in step");
}

/** The same, up to and without the one that comes some time after a repair of a few tenants. */
async function comparisons(from: number): Promise<readonly Compared[]> {
  const isLast = ({ noticed }: Compared) => noticed.includes("full check");
  await until(() => comparedSince(from).some(isLast));
  const all = comparedSince(from);
  return all.slice(0, all.findIndex(isLast));
}

const damages: readonly (readonly [what: string, run: () => Promise<unknown>])[] = [
  ["a route", () => gateway.ip("route del 10.0.0.7/32 table 100001")],
  ["a tunnel", () => gateway.ip("link del xgre1000")],
  ["a VRF", () => gateway.ip("link del xvrf1000")],
  ["an element", () => gateway.run("nft", "delete element ip xgw_gw1 dnat_to { 1 . 2.2.2.11 }")],
  [
    "a tunnel in a flowtable",
    () =>
      gateway.run(
        "nft",
        "delete flowtable ip xgw_gw1 fastpath0 { hook ingress priority filter; devices = { xgre1000 }; }",
      ),
  ],
  ["the pin of a program on a tunnel", () => gateway.run("rm", "/sys/fs/bpf/xgw/gw1/links/arp_xgre1000")],
];

describe("after the loss of", () => {
  for (const [what, run] of damages)
    it(`${what}, one tenant is compared until it is time for everything`, async () => {
      const from = log.length;
      await run();
      const compared = await comparisons(from);
      expect([...new Set(compared.map((one) => one.compared))], JSON.stringify(compared)).toEqual(["1 tenants"]);
      expect(compared.map(({ msg }) => msg)).toContain("drift repaired");
    });
});

/** As an editor writes it. */
function writeTenant(text: string): void {
  writeFileSync(join(folder, "third~"), text);
  renameSync(join(folder, "third~"), join(folder, "tenants.d", "third.yaml"));
}

/** Until the daemon has logged this once more. */
async function causing(message: string, act: () => void): Promise<void> {
  const from = log.length;
  act();
  await until(() => log.slice(from).includes(message));
}

/** Until what went before has been compared, too. */
async function settled(): Promise<void> {
  for (let length = -1; length !== log.length; await sleep(3000)) length = log.length;
}

const removeTenant = () => rmSync(join(folder, "tenants.d", "third.yaml"));
const reconciled = '"msg":"reconciled"';
const planned = async () => (await commands.run("plan", ...config)).code;

const others: readonly (readonly [what: string, make: string, name: string, told: RegExp])[] = [
  ["device of the tunnel's name", "link add xgre3000 type dummy", "xgre3000", /device xgre3000 .*somebody else/],
  ["device of the VRF's name", "link add xvrf3000 type dummy", "xvrf3000", /device xvrf3000 .*somebody else/],
];

describe("a tenant that comes is refused, and nothing is changed, where somebody else has a", () => {
  for (const [what, make, name, told] of others)
    it(what, async () => {
      await gateway.ip(make);
      const from = log.length;
      await causing("reconciliation failed", () => writeTenant(newcomer));
      expect(log.slice(from)).toMatch(told);
      expect((await gateway.tryRun("ip", "-br", "link", "show", "type", "vrf")).stdout).not.toContain("xvrf3000");
      await causing(reconciled, removeTenant);
      await gateway.ip(`link del ${name}`);
      expect(await planned()).toBe(0);
    });
});

describe("a tenant that comes", () => {
  it("gets a route table that no VRF has", async () => {
    await gateway.ip("link add blue type vrf table 100003");
    await causing(reconciled, () => writeTenant(newcomer));
    const tables = await gateway.run("ip", "-d", "link", "show", "xvrf3000");
    expect([await planned(), /table (\d+)/.exec(tables)?.[1]]).toEqual([0, "100004"]);
    await causing(reconciled, removeTenant);
    await gateway.ip("link del blue");
  });

  it("is put in force, and compared, without a look at the others", async () => {
    await settled();
    const from = log.length;
    await causing(reconciled, () => writeTenant(newcomer));
    await until(() => comparedSince(from).length > 0);
    const compared = comparedSince(from).map((one) => one.compared);
    expect([await planned(), ...new Set(compared)], JSON.stringify(compared)).toEqual([0, "1 tenants"]);
  });

  it("has its device repaired like any other's", async () => {
    const from = log.length;
    await gateway.ip("link del xgre3000");
    const compared = await comparisons(from);
    expect([...new Set(compared.map((one) => one.compared))], JSON.stringify(compared)).toEqual(["1 tenants"]);
  });

  it("gets a tunnel of another kind without a look at the others", async () => {
    await settled();
    const from = log.length;
    await causing(reconciled, () => writeTenant(newcomer.replace("tunnel: gre", "tunnel: gretap")));
    await until(() => comparedSince(from).length > 0);
    const compared = comparedSince(from).map((one) => one.compared);
    expect([await planned(), ...new Set(compared)], JSON.stringify(compared)).toEqual([0, "1 tenants"]);
    expect(log.slice(from)).not.toContain("half-way");
  });

  it("and goes again leaves nothing to do", async () => {
    await causing(reconciled, removeTenant);
    expect(await planned()).toBe(0);
  });
});
