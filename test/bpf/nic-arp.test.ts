// ARP requests by a side's NIC, natively: the kernel answers everybody, and makes a neighbour of each.
import { BpfObject, inNetNamespace, type TypedMap } from "libbpf-ts";
import { afterAll, beforeEach, expect, it } from "vitest";
import { kernelTables } from "../../src/model/kernel-tables.js";
import { strangeHosts } from "../../src/plan/rules.js";
import { objectFile } from "./support/datapath.js";
import { makeNamespace } from "./support/kernel.js";
import { arp } from "./support/packet.js";
import { countersOf, type ReasonCounters } from "./support/reason-counters.js";

const mac = "02:00:00:00:00:02";
const own = "172.16.0.1";
const atOnce = 512;
const perSecond = 16;

const gateway = makeNamespace();
gateway.ip("addr", "add", `${own}/16`, "dev", "v0");
gateway.exec("sysctl", "-qw", "net.ipv4.ip_forward=1");
const within = <T>(work: () => T): T => inNetNamespace(gateway.path, work as () => never);

const programs = BpfObject.open(objectFile("tc.bpf.o")).resizeMap("flows", 64).load();
const wire = BpfObject.open(objectFile("test-pass.bpf.o")).load();
const link = within(() =>
  programs.program("xgw_nic_arp").attachTcx({ ifindex: gateway.veth[0], direction: "ingress" }),
);
afterAll(() => {
  for (const one of [link, wire, programs]) one.close();
});

const buckets = programs.map("nic_buckets");
const reasonStats: TypedMap<number, ReasonCounters[]> = programs.typedMap("reason_stats");
const dropped = () => countersOf(reasonStats.get(0), "neighbours").packets;
const neighbours = () => Number(gateway.exec("sh", "-c", "ip neigh show dev v0 | wc -l"));

/** A tag that says a priority, and no VLAN: the kernel takes off as many of them as there are. */
const noVlan = Buffer.from("81000000", "hex");
const vlan7 = Buffer.from("81000007", "hex");

/** Gives the gateway requests under these addresses; how many of them are refused, and within how many seconds. */
function ask(
  senders: readonly string[],
  target = own,
  operation: "request" | "reply" = "request",
  tags: readonly Buffer[] = [],
) {
  const [before, began] = [dropped(), performance.now()];
  const context = Buffer.alloc(24);
  context.writeUInt32LE(gateway.veth[0], 12);
  within(() => {
    for (const sender of senders) {
      const frame = arp({ operation, senderMac: mac, sender, targetMac: "02:00:00:00:00:01", target });
      const data = Buffer.concat([frame.subarray(0, 12), ...tags, frame.subarray(12)]);
      context.writeUInt32LE(data.length, 4);
      wire.program("pass").testRun({ data, context, liveFrames: true });
    }
  });
  return { refused: dropped() - before, seconds: (performance.now() - began) / 1000 };
}

const address = (at: number) => `172.16.${10 + (at >> 8)}.${at & 255}`;
const addresses = (count: number) => Array.from({ length: count }, (_, at) => address(at));
const flood = () => ask(addresses(900));

beforeEach(() => {
  gateway.ip("neigh", "flush", "all");
  for (const slot of buckets.keys()) buckets.set(slot, Buffer.alloc(buckets.valueSize));
});

it("come under new addresses only so many at once and so many a second, and the others are counted", () => {
  const { refused, seconds } = flood();
  const more = Math.ceil(perSecond * seconds);
  expect(neighbours()).toBeGreaterThanOrEqual(atOnce);
  expect(neighbours()).toBeLessThanOrEqual(atOnce + more + 1);
  expect(neighbours() + refused).toBe(900);
});

it.each([1, 2, 3, 9])("come under new addresses no more often behind %i tags without a VLAN", (tags) => {
  const { refused, seconds } = ask(addresses(900), own, "request", Array<Buffer>(tags).fill(noVlan));
  expect(neighbours()).toBeLessThanOrEqual(atOnce + Math.ceil(perSecond * seconds) + 1);
  expect(refused).toBeGreaterThan(0);
});

it.each([
  ["a VLAN's tag", [vlan7]],
  ["a VLAN's tag behind one that says a priority", [noVlan, vlan7]],
])("are another device's with %s", (_what, tags) => {
  flood();
  expect(ask(addresses(100), own, "request", tags).refused).toBe(0);
});

it("make fewer neighbours than are kept for what is no tenant's, by two NICs, with those that the machine sends to", () => {
  const byRequests = atOnce + perSecond * strangeHosts.seconds;
  expect(2 * (byRequests + strangeHosts.most)).toBeLessThanOrEqual(kernelTables.neighbours.reserve);
});

it("go on from a host that the kernel knows", () => {
  gateway.ip("neigh", "replace", "172.16.0.7", "lladdr", mac, "dev", "v0", "nud", "stale");
  flood();
  expect(ask(Array.from({ length: 100 }, () => "172.16.0.7")).refused).toBe(0);
});

it("from an address whose route leads elsewhere are those of somebody new each time", () => {
  gateway.ip("route", "replace", "198.51.100.0/24", "via", "172.16.0.7");
  gateway.ip("neigh", "replace", "172.16.0.7", "lladdr", mac, "dev", "v0", "nud", "stale");
  flood();
  const { refused, seconds } = ask(Array.from({ length: 200 }, () => "198.51.100.1"));
  expect(refused).toBeGreaterThanOrEqual(200 - Math.ceil(perSecond * seconds) - 1);
});

it.each([
  ["that are for another host", address(3000), "request"],
  ["that are answers", own, "reply"],
] as const)("do not count %s", (_what, target, operation) => {
  expect(ask(addresses(900), target, operation).refused).toBe(0);
  expect(neighbours()).toBe(0);
});

it("do not count without an address of the sender's: who asks whether one is free", () => {
  flood();
  expect(ask(Array.from({ length: 50 }, () => "0.0.0.0")).refused).toBe(0);
});
