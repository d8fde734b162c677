// Two instances in one network namespace, each with a NIC and keys of its own, their tenants with the same addresses: both
// forward, and when one goes the other goes on as if nothing had been.

import { afterAll, beforeAll, expect, it } from "vitest";
import type { Output } from "../../../vm/lab/netns.js";
import { ipv4, type TcpFlag, tcp } from "../../bpf/support/packet.js";
import { addresses, type InstanceName, instances, type Left, names, TwoInstances } from "../support/two-instances.js";

let both: TwoInstances;
const applied: string[] = [];
/** How a command ended, with its words where that was not well. */
const endOf = ({ code, stderr }: Output) => (code === 0 ? "done" : `exit ${code}: ${stderr}`);

beforeAll(async () => {
  both = await TwoInstances.start();
  for (const name of names) applied.push(endOf(await both.apply(name)));
});
afterAll(() => both[Symbol.asyncDispose]());

const inwards = (sport: number, flags: TcpFlag[], payload = "") =>
  ipv4({ src: addresses.client, dst: addresses.public }, tcp({ sport, dport: 22, flags, payload, seq: 1, ack: 1 }));
const outwards = (dport: number, flags: TcpFlag[], payload = "") =>
  ipv4({ src: addresses.host, dst: addresses.client }, tcp({ sport: 22, dport, flags, payload, seq: 1, ack: 1 }));

/** What has left, less its addresses inside: by which instance's NIC, with which key, to which end. */
const ways = (left: readonly Left[]) => left.map(({ instance, key, endpoint }) => `${instance} ${key} ${endpoint}`);
const wayOf = (name: InstanceName, to: "host" | "client") => [
  `${name} ${instances[name].key} ${instances[name].endpoint[to]}`,
];

async function connect(name: InstanceName, port: number): Promise<void> {
  expect(ways(await both.send(name, "client", inwards(port, ["syn"])))).toEqual(wayOf(name, "host"));
  expect(ways(await both.send(name, "host", outwards(port, ["syn", "ack"])))).toEqual(wayOf(name, "client"));
  await both.send(name, "client", inwards(port, ["ack"]));
}

/** Both ways, until XDP carries both. */
async function expectFlow(name: InstanceName, port: number): Promise<void> {
  const tiers = async () => {
    const to = await both.send(name, "client", inwards(port, ["ack"], "words"));
    const back = await both.send(name, "host", outwards(port, ["ack"], "words"));
    expect([ways(to), ways(back)]).toEqual([wayOf(name, "host"), wayOf(name, "client")]);
    return [...to, ...back].map(({ by }) => by);
  };
  await expect.poll(tiers, { timeout: 20_000 }).toEqual(["xdp", "xdp"]);
}

it("both are applied", () => {
  expect(applied).toEqual(["done", "done"]);
});

it("neither has anything to do because of the other", async () => {
  for (const name of names) expect((await both.xgw(name, "plan")).stdout.trim()).toBe("nothing to do");
});

it("their tenants have route tables, and conntrack's zones, of their own", async () => {
  const links = JSON.parse(await both.gateway.run("ip", "-j", "-d", "link", "show", "type", "vrf")) as {
    ifname: string;
    linkinfo: { info_data: { table: number } };
  }[];
  expect(Object.fromEntries(links.map(({ ifname, linkinfo }) => [ifname, linkinfo.info_data.table]))).toEqual({
    xvrf1000: 100_001,
    xvrf2000: 100_002,
  });
});

it("both run daemons, and carry connections with the same addresses and ports, by XDP", async () => {
  for (const name of names) await both.run(name);
  for (const name of names) await connect(name, 4000);
  for (const name of names) await expectFlow(name, 4000);
});

it("the policy of each is its own tenant's", async () => {
  const denied = ipv4(
    { src: addresses.client, dst: addresses.public },
    tcp({ sport: 4001, dport: 23, flags: ["syn"] }),
  );
  for (const name of names) expect(ways(await both.send(name, "client", denied))).toEqual([]);
});

it("a packet that one's tenant forges is counted by that one", async () => {
  const forged = ipv4({ src: "9.9.9.9", dst: addresses.client }, tcp({ sport: 1, dport: 2, flags: ["syn"] }));
  await both.send("gw2", "host", forged);
  const spoofed = (name: InstanceName) => both.gateway.run("nft", "list", "set", "ip", `xgw_${name}`, "spoofed");
  expect([(await spoofed("gw1")).includes("xgre2000"), (await spoofed("gw2")).includes("xgre2000")]).toEqual([
    false,
    true,
  ]);
});

it("when one is torn down, the other's live connection, new connections and settings go on", async () => {
  const state = async () => [
    await both.gateway.run("ip", "rule", "show"),
    await both.gateway.run("ip", "route", "show", "table", "100002"),
    await both.gateway.run("sysctl", "net.ipv4.ip_forward", "net.ipv4.ip_forward_use_pmtu"),
  ];
  const before = await state();
  await both.stop("gw1");
  expect(endOf(await both.xgw("gw1", "teardown"))).toBe("done");
  expect(await state()).toEqual(before);
  await expectFlow("gw2", 4000);
  await connect("gw2", 4002);
  await expectFlow("gw2", 4002);
});

it("the other is still in step, and the first comes back beside it", async () => {
  expect((await both.xgw("gw2", "plan")).stdout.trim()).toBe("nothing to do");
  expect(endOf(await both.apply("gw1"))).toBe("done");
  await connect("gw1", 4003);
  await expectFlow("gw1", 4003);
});

it("both are applied at the same time, and get ids of their own", async () => {
  await both.stop("gw2");
  for (const name of names) expect(endOf(await both.xgw(name, "teardown"))).toBe("done");
  expect((await Promise.all(names.map((name) => both.apply(name)))).map(endOf)).toEqual(["done", "done"]);
  const links = await both.gateway.run("ip", "-d", "link", "show", "type", "vrf");
  expect([...links.matchAll(/vrf table (\d+)/g)].map(([, table]) => table).sort()).toEqual(["100001", "100002"]);
});

it("when the last goes, the routing rules are the kernel's again", async () => {
  for (const name of names) expect(endOf(await both.xgw(name, "teardown"))).toBe("done");
  expect(await both.gateway.run("ip", "rule", "show")).toMatch(/^0:\tfrom all lookup local\n1000:\t.*l3mdev/);
});
