// `xgw monitor` as a shell sees it: what the real programs drop is told to everybody who watches, with the packet.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { u32 } from "../../src/datapath/layout.js";
import { monitorSchema } from "../../src/monitor/schema.js";
import { FlowGateway } from "./support/flow-gateway.js";
import { Monitor, receive } from "./support/monitors.js";
import { connectionOf, stranger, user1 } from "./support/world.js";

const gateway = await FlowGateway.make(4096);

const fromStranger = connectionOf({}).original.arrives({}, { src: stranger });
const ofNobody = connectionOf({}).original.arrives({}, { key: 3000 });

it("a drop is told with tenant, reason, tuple and peer", async () => {
  const monitor = await Monitor.start(gateway, "-j", "--count", "1");
  receive(gateway, fromStranger);
  const [event] = await monitor.events();
  expect(monitorSchema.parse(event)).toMatchObject({
    ...{ kind: "drop", reason: "stranger", tenant: "user1", key: 1000, peer: stranger },
    ...{ protocol: "tcp", bytes: fromStranger.length },
  });
});

it("one line of text an event", async () => {
  const monitor = await Monitor.start(gateway, "--count", "1");
  receive(gateway, ofNobody);
  await monitor.ended();
  expect(monitor.stdout.replaceAll(/\n {4}/g, " ")).toMatch(
    /^\d\d:\d\d:\d\d\.\d{6} key 3000 drop unknown_key: .* > .*, from [\d.]+, \d+ bytes\n$/,
  );
});

it("two at once are told the same", async () => {
  const monitors = await Promise.all([1, 2].map(() => Monitor.start(gateway, "-j", "--count", "1")));
  receive(gateway, fromStranger);
  const [first, second] = await Promise.all(monitors.map((monitor) => monitor.events()));
  expect(first).toMatchObject([{ reason: "stranger" }]);
  expect(second?.map(({ time: _, ...event }) => event)).toEqual(first?.map(({ time: _, ...event }) => event));
});

it("a fifth is refused, and says why", async () => {
  await Promise.all([1, 2, 3, 4].map(() => Monitor.start(gateway)));
  await expect(Monitor.start(gateway)).rejects.toThrow(/4 monitors of instance flow\d+ run already/);
});

it("one that is killed leaves its slot to the next", async () => {
  const four = await Promise.all([1, 2, 3, 4].map(() => Monitor.start(gateway)));
  four[0]?.child.kill("SIGKILL");
  await four[0]?.ended();
  const next = await Monitor.start(gateway, "-j", "--count", "1");
  receive(gateway, ofNobody);
  expect(await next.events()).toMatchObject([{ reason: "unknown_key" }]);
});

it("the programs find out that nobody listens any more, though nobody said so", async () => {
  const killed = await Monitor.start(gateway);
  const listens = () => {
    using map = gateway.map("monitors");
    return map.get(Buffer.from([4, 0, 0, 0]))?.readBigUInt64LE();
  };
  killed.child.kill("SIGKILL");
  await killed.ended();
  expect(listens()).toBe(1n);
  await sleep(3500);
  receive(gateway, ofNobody);
  expect(listens()).toBe(0n);
});

it.each([
  [["--tenant", "user1"], "stranger"],
  [["--reason", "unknown_key"], "unknown_key"],
  [["--net", stranger], "stranger"],
])("%j shows what is meant only", async (words, reason) => {
  const monitor = await Monitor.start(gateway, "-j", "--count", "1", ...words);
  receive(gateway, reason === "stranger" ? ofNobody : fromStranger);
  receive(gateway, reason === "stranger" ? fromStranger : ofNobody);
  expect(await monitor.events()).toMatchObject([{ reason }]);
});

it("of a flood some is shown, and all the rest is counted", async () => {
  const monitor = await Monitor.start(gateway, "-j", "--seconds", "2");
  receive(gateway, fromStranger, 100_000);
  const events = (await monitor.events()).map((event) => monitorSchema.parse(event));
  const shown = events.filter(({ kind }) => kind === "drop").length;
  const leftOut = events.reduce(
    (sum, event) => sum + (event.kind === "left_out" ? event.overShare + event.full : 0),
    0,
  );
  expect(shown).toBeGreaterThan(0);
  expect(shown).toBeLessThan(10_000);
  expect(shown + leftOut).toBe(100_000);
});

it("--pcap writes packets that tshark reads, each with tenant and reason", async () => {
  const folder = mkdtempSync(join(tmpdir(), "xgw-pcap-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "drops.pcapng");
  const monitor = await Monitor.start(gateway, "-j", "--count", "2", "--pcap", file);
  receive(gateway, fromStranger);
  receive(gateway, ofNobody);
  await monitor.ended();
  const fields = ["frame.comment", "gre.key", "frame.len"].flatMap((name) => ["-e", name]);
  const read = execFileSync("tshark", ["-r", file, "-T", "fields", "-E", "separator=;", ...fields], {
    encoding: "utf8",
  });
  expect(read.trim().split("\n")).toEqual([
    `xgw drop stranger, tenant user1;0x000003e8;${fromStranger.length}`,
    `xgw drop unknown_key, tenant none;0x00000bb8;${ofNobody.length}`,
  ]);
});

it("a flow that is forgotten is told as one that has died", async () => {
  gateway.teach(connectionOf({}));
  const monitor = await Monitor.start(gateway, "-j", "--count", "2", "--kind", "flow_died");
  expect(gateway.xgw("flow", "delete", "--all").code).toBe(0);
  const [first, second] = (await monitor.events()).map((event) => monitorSchema.parse(event));
  expect(first).toMatchObject({ kind: "flow_died", reason: "generation", tenant: "user1", protocol: "tcp" });
  expect(second).toMatchObject({ kind: "flow_died", tenant: "user1" });
});

it("what the kernel drops of a tenant's packets is told with the kernel's reason", async () => {
  const { namespace, nic } = gateway;
  using tunnels = gateway.map("tunnels");
  tunnels.set(u32(nic), u32(user1.id));
  onTestFinished(() => void namespace.exec("nft", "delete table ip refusing"));
  namespace.ip("addr", "replace", "10.9.0.1/24", "dev", "v0");
  namespace.exec("nft", "add table ip refusing");
  namespace.exec("nft", "add chain ip refusing out { type filter hook postrouting priority 0; }");
  namespace.exec("nft", "add rule ip refusing out ip daddr 10.9.0.2 drop");
  const monitor = await Monitor.start(gateway, "-j", "--count", "1", "--kind", "kernel_drop", "--net", "10.9.0.2");
  expect(() => namespace.exec("ping", "-c", "1", "-W", "1", "10.9.0.2")).toThrow();
  const [event] = await monitor.events();
  tunnels.delete(u32(nic));
  expect(monitorSchema.parse(event)).toMatchObject({
    ...{ kind: "kernel_drop", reason: "netfilter_drop", tenant: "user1" },
    ...{ protocol: "icmp", source: "10.9.0.1", destination: "10.9.0.2", bytes: 84 },
  });
});
