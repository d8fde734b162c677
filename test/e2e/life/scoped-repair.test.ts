// The daemon compares a tenant whose devices were damaged, and not everything because of its own repair.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Namespace, tryRun } from "../../../vm/lab/netns.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const xgw = [process.execPath, join(root, "dist/xgw/lib/main.js")];
const config = ["-c", join(root, "examples/two-tenants.yaml")];

/** A comparison, as the daemon logs it. */
interface Compared {
  readonly msg: "drift repaired" | "in step";
  readonly noticed: readonly string[];
  readonly compared: string;
}

let gateway: Namespace;
let daemon: ChildProcess;
let log = "";

beforeAll(async () => {
  for (const name of ["vrf", "ip_gre", "nf_flow_table", "nf_conntrack"]) await tryRun("modprobe", ["-q", name]);
  gateway = await Namespace.create(`xgw${process.pid}-scoped`);
  await gateway.ip("link add eth0 type veth peer name wire", "addr add 172.168.0.1/24 dev eth0");
  await gateway.ip("link set eth0 up", "link set wire up");
  daemon = gateway.spawn([...xgw, "run", ...config], { ...process.env, XGW_LOG: "debug" });
  daemon.stderr?.on("data", (data: Buffer) => {
    log += data.toString();
  });
  await until(() => log.includes('"msg":"running"'));
});
afterAll(async () => {
  const ended = once(daemon, "exit");
  daemon.kill();
  await ended;
  await gateway.run(...xgw, "teardown", ...config);
  await gateway.delete();
});

async function until(isSo: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 120_000; !isSo(); await sleep(50))
    if (performance.now() > deadline || daemon.exitCode !== null) throw new Error(`the daemon did not log it: ${log}`);
}

/** Those logged from this offset on, up to and without the one that comes some time after a repair of a few tenants. */
async function comparisons(from: number): Promise<readonly Compared[]> {
  const all = () =>
    log
      .slice(from)
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Compared)
      .filter(({ msg }) => msg === "drift repaired" || msg === "in step");
  const isLast = ({ noticed }: Compared) => noticed.includes("full check");
  await until(() => all().some(isLast));
  return all().slice(0, all().findIndex(isLast));
}

const damages: readonly (readonly [what: string, run: () => Promise<unknown>])[] = [
  ["a route", () => gateway.ip("route del 10.0.0.7/32 table 100001")],
  ["a tunnel", () => gateway.ip("link del xgre1000")],
  ["a VRF", () => gateway.ip("link del xvrf1000")],
  ["an element", () => gateway.run("nft", "delete element ip xgw_gw1 dnat_to { 1 . 2.2.2.11 }")],
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
