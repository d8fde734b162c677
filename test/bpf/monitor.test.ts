// What the daemon hears when somebody changes the kernel, by the kernel's own notifications.
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it, onTestFinished } from "vitest";
import { type KernelEvent, monitorKernel } from "../../src/kernel/monitor.js";
import { netNamespace, type TestNamespace } from "../native/support/kernel.js";

/** Changes a namespace with two devices, v0 and v1, and waits for what is told. */
class Scene {
  readonly events: KernelEvent[] = [];
  readonly namespace: TestNamespace = netNamespace();

  ip(...args: string[]): void {
    execFileSync("ip", ["-n", this.namespace.name, ...args]);
  }

  set(assignment: string): void {
    execFileSync("nsenter", [`--net=${this.namespace.path}`, "sysctl", "-qw", assignment]);
  }

  /** Asks for an absent host on v0 until the kernel has given it up. */
  fail(address: string): void {
    const exec = ["netns", "exec", this.namespace.name];
    const settings = ["mcast_solicit=1", "retrans_time_ms=10"].map((setting) => `net.ipv4.neigh.v0.${setting}`);
    execFileSync("ip", [...exec, "sysctl", "-qw", ...settings]);
    const ping = spawnSync("ip", [...exec, "ping", "-c", "1", "-W", "2", address]);
    expect(ping.status, "an answer of an absent host").toBe(1);
    expect(execFileSync("ip", ["-n", this.namespace.name, "neigh"], { encoding: "utf8" })).toContain(
      `${address} dev v0 FAILED`,
    );
  }

  nft(script: string): void {
    execFileSync("nsenter", [`--net=${this.namespace.path}`, "nft", "-f", "-"], { input: script });
  }

  listen(onGap: () => void = () => expect.fail("nothing may be lost")): this {
    const monitor = this.namespace.inside(() => monitorKernel((event) => this.events.push(event), onGap));
    onTestFinished(() => monitor.stop());
    return this;
  }

  /** Those about something, as soon as there are any. */
  async heard<K extends KernelEvent["of"]>(
    of: K,
    isMeant: (event: KernelEvent & { of: K }) => boolean = () => true,
  ): Promise<(KernelEvent & { of: K })[]> {
    for (const deadline = performance.now() + 10_000; performance.now() < deadline; await sleep(20)) {
      const some = (this.events.filter((event) => event.of === of) as (KernelEvent & { of: K })[]).filter(isMeant);
      if (some.length > 0) return some;
    }
    throw new Error(`nothing about ${of} was heard, but ${JSON.stringify(this.events)}`);
  }
}

it("a device that comes is named", async () => {
  const scene = new Scene().listen();
  scene.ip("link", "add", "name", "veth7", "type", "veth", "peer", "name", "veth8");
  expect((await scene.heard("device")).map(({ name }) => name)).toEqual(expect.arrayContaining(["veth7", "veth8"]));
});

it("a device that goes is named", async () => {
  const scene = new Scene().listen();
  scene.ip("link", "del", "dev", "v0");
  expect((await scene.heard("device")).map(({ name }) => name)).toContain("v0");
});

it("a device that gets another name is told under both", async () => {
  const scene = new Scene().listen();
  scene.ip("link", "set", "dev", "v0", "name", "other");
  await scene.heard("device");
  await sleep(100);
  expect((await scene.heard("device")).map(({ name }) => name)).toEqual(expect.arrayContaining(["v0", "other"]));
});

it.each([
  ["all", "rp_filter=1"],
  ["v0", "rp_filter=2"],
  ["v1", "forwarding=1"],
])("settings of %s that somebody changes (%s) are told of", async (device, setting) => {
  const scene = new Scene().listen();
  scene.set(`net.ipv4.conf.${device}.${setting}`);
  expect((await scene.heard("settings")).map((event) => event.device)).toContain(device);
});

it("a device that becomes a port of another, and no longer is one, is told with that one's name", async () => {
  const scene = new Scene();
  scene.ip("link", "add", "name", "br0", "type", "bridge");
  scene.listen();
  const isPort = ({ name, masters = [] }: { name: string; masters?: readonly string[] }) =>
    name === "v0" && masters.includes("br0");
  scene.ip("link", "set", "dev", "v0", "master", "br0");
  await scene.heard("device", isPort);
  await sleep(100);
  scene.events.length = 0;
  scene.ip("link", "set", "dev", "v0", "nomaster");
  expect(await scene.heard("device", isPort)).not.toEqual([]);
});

it("a NIC whose driver can send what XDP sends from now on is named", async () => {
  const scene = new Scene();
  execFileSync("ip", ["netns", "exec", scene.namespace.name, "ethtool", "-K", "v1", "gro", "off"]);
  scene.listen();
  execFileSync("ip", ["netns", "exec", scene.namespace.name, "ethtool", "-K", "v1", "gro", "on"]);
  expect((await scene.heard("xdp features")).map(({ device }) => device)).toContain("v0");
});

it("a NIC that does something else with VLAN tags is named", async () => {
  const scene = new Scene().listen();
  execFileSync("ip", ["netns", "exec", scene.namespace.name, "ethtool", "-K", "v0", "rxvlan", "off"]);
  expect((await scene.heard("device")).map(({ name }) => name)).toContain("v0");
});

const known = {
  device: "v0",
  address: "10.1.0.2",
  linkAddress: "02:00:00:00:00:0a",
  isPermanent: true,
  isGone: false,
};

it("neighbours that there are already are told of at once", async () => {
  const scene = new Scene();
  scene.ip("neigh", "replace", "10.1.0.2", "lladdr", "02:00:00:00:00:0a", "dev", "v0");
  scene.listen();
  expect(scene.events).toEqual([{ of: "neighbour", ...known }]);
});

it("when more happens than can be told, that is said, once", async () => {
  let gaps = 0;
  const scene = new Scene().listen(() => gaps++);
  const changes = Array.from({ length: 30_000 }, (_, at) => `link set dev v1 mtu ${1400 + (at % 2)}\n`).join("");
  execFileSync("ip", ["-n", scene.namespace.name, "-batch", "-"], { input: changes });
  for (const deadline = performance.now() + 10_000; gaps === 0 && performance.now() < deadline; ) await sleep(20);
  await sleep(100);
  expect([gaps, scene.events.length < 30_000]).toEqual([1, true]);
});

it("a monitor that may not hear everything is refused, and leaves nothing open that would keep the process", async () => {
  const runner = fileURLToPath(new URL("support/run-refused.mjs", import.meta.url));
  const powerless = ["--bounding-set=-all", "--inh-caps=-all", process.execPath, runner];
  const { stdout } = await promisify(execFile)("setpriv", powerless, { timeout: 30_000 });
  expect(stdout).toBe("EPERM\n");
});

it("an address is told with its device, whatever its label", async () => {
  const scene = new Scene().listen();
  scene.ip("addr", "add", "10.1.0.1/24", "dev", "v0", "label", "v0:second");
  expect((await scene.heard("address"))[0]).toEqual({ of: "address", device: "v0" });
});

it("a route is told with its table, its protocol and its prefix", async () => {
  const scene = new Scene();
  scene.ip("addr", "add", "10.1.0.1/24", "dev", "v0");
  scene.listen();
  scene.ip("route", "add", "192.0.2.0/24", "via", "10.1.0.2", "dev", "v0", "table", "100001", "proto", "201");
  const to = { address: 0xc000_0200, length: 24 };
  expect(await scene.heard("route")).toEqual([{ of: "route", protocol: 201, routeTable: 100_001, to }]);
});

it("the default route goes to everywhere", async () => {
  const scene = new Scene();
  scene.ip("addr", "add", "10.1.0.1/24", "dev", "v0");
  scene.listen();
  scene.ip("route", "add", "default", "via", "10.1.0.2");
  expect((await scene.heard("route"))[0]).toMatchObject({ routeTable: 254, to: { address: 0, length: 0 } });
});

it("a neighbour's new address is told with its device", async () => {
  const scene = new Scene().listen();
  scene.ip("neigh", "replace", "10.1.0.2", "lladdr", "02:00:00:00:00:0a", "dev", "v0");
  expect(await scene.heard("neighbour")).toContainEqual({ of: "neighbour", ...known });
});

it("a neighbour on a device that has come since is told with its name", async () => {
  const scene = new Scene().listen();
  scene.ip("link", "add", "name", "veth7", "type", "veth", "peer", "name", "veth8");
  scene.ip("link", "set", "dev", "veth7", "up");
  scene.ip("neigh", "replace", "10.1.0.2", "lladdr", "02:00:00:00:00:0a", "dev", "veth7");
  expect((await scene.heard("neighbour"))[0]).toMatchObject({ device: "veth7" });
});

it("a neighbour that does not answer is not told of, nor one of another family", async () => {
  const scene = new Scene();
  scene.ip("addr", "add", "10.1.0.1/24", "dev", "v0");
  scene.listen();
  scene.fail("10.1.0.9");
  scene.ip("neigh", "add", "fe80::9", "lladdr", "02:00:00:00:00:09", "dev", "v0");
  scene.ip("neigh", "add", "10.1.0.2", "lladdr", "02:00:00:00:00:0a", "dev", "v0");
  await scene.heard("neighbour", (one) => one.address === "10.1.0.2");
  expect((await scene.heard("neighbour")).map(({ address }) => address)).toEqual(["10.1.0.2"]);
});

it("a permanent neighbour that somebody makes one that does not answer is told without an address", async () => {
  const scene = new Scene();
  scene.ip("neigh", "add", "10.1.0.2", "lladdr", "02:00:00:00:00:0a", "dev", "v0", "nud", "permanent");
  scene.listen();
  scene.ip("neigh", "change", "10.1.0.2", "dev", "v0", "nud", "failed");
  const [failed] = await scene.heard("neighbour", ({ isPermanent }) => !isPermanent);
  expect(failed).toEqual({ of: "neighbour", device: "v0", address: "10.1.0.2", isPermanent: false, isGone: false });
});

it("a neighbour that is deleted is told as gone", async () => {
  const scene = new Scene();
  scene.ip("neigh", "replace", "10.1.0.2", "lladdr", "02:00:00:00:00:0a", "dev", "v0");
  scene.listen();
  scene.ip("neigh", "del", "10.1.0.2", "dev", "v0");
  expect((await scene.heard("neighbour", ({ isGone }) => isGone))[0]).toMatchObject({ address: "10.1.0.2" });
});

const table = `table ip t {
  map m { type ipv4_addr : ipv4_addr; elements = { 10.0.0.1 : 10.0.0.2 } }
  chain c { counter; }
}
`;

it("a new nft table is told with all that is in it", async () => {
  const scene = new Scene().listen();
  scene.nft(table);
  const what = (await scene.heard("nft")).map((event) => `${event.what} of ${event.table}`);
  expect(new Set(what)).toEqual(new Set(["table of t", "chain of t", "rule of t", "set of t", "element of t"]));
});

it("an nft element that goes is told", async () => {
  const scene = new Scene();
  scene.nft(table);
  scene.listen();
  scene.nft("delete element ip t m { 10.0.0.1 }\n");
  const changed = { set: "m", elements: [] };
  expect(await scene.heard("nft")).toEqual([{ of: "nft", what: "element", table: "t", changed }]);
});

it("an nft table of another family is not told", async () => {
  const scene = new Scene().listen();
  scene.nft("add table bridge t\n");
  scene.nft("add table ip u\n");
  expect(await scene.heard("nft")).toEqual([{ of: "nft", what: "table", table: "u" }]);
});

it("elements of a set that is known by its name are told with their keys and values", async () => {
  const scene = new Scene();
  scene.nft(
    "table ip t { map inbound3 { typeof ct zone . ip protocol . ip saddr . th dport : ct mark; flags interval; }; }\n",
  );
  scene.listen();
  scene.nft("add element ip t inbound3 { 400 . 6 . 10.0.0.0/8 . 22-80 : 5 }\n");
  const changed = { set: "inbound3", elements: [{ key: "400 . 6 . 10.0.0.0-10.255.255.255 . 22-80", value: "5" }] };
  expect(await scene.heard("nft")).toEqual([{ of: "nft", what: "element", table: "t", changed }]);
});
