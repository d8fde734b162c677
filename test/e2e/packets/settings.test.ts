// Settings of the machine that override those of its devices: packets go their ways all the same.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { udp } from "../../bpf/support/packet.js";
import { head, packetOf, SidedGateway, told } from "../support/sided-gateway.js";

const tenants = `
tenants:
  - name: user1
    key: 1000
    addresses: [10.0.0.1/24]
    routes: [{ to: 10.0.0.0/24, via: 172.168.0.11 }, { to: 192.168.9.9/32, via: 172.168.0.7 }]
    publicIps: [{ address: 2.2.2.11, to: 10.0.0.7 }]
`;
const far = "lladdr 02:00:00:00:00:fe";
const router = "203.0.113.254";
const setUp = [
  "addr add 203.0.113.1/24 dev eth1",
  "addr add 172.168.0.1/24 dev eth0",
  `neigh replace ${router} ${far} dev eth1 nud permanent`,
  ...["172.168.0.11", "172.168.0.7"].map((peer) => `neigh replace ${peer} ${far} dev eth0 nud permanent`),
  "route add default via 203.0.113.254",
];

let site: SidedGateway;
let port = 20_000;
const news = () => udp({ sport: ++port, dport: 5000, payload: "new" });
const fromTenant = async (dst: string) =>
  told(
    await site.send(
      "eth0",
      site.frame("eth0", site.tunnelled(1000, "172.168.0.11", packetOf("10.0.0.7", dst, news()))),
    ),
  );
const fromOutside = async () =>
  told(await site.send("eth1", site.frame("eth1", packetOf("8.8.8.8", "2.2.2.11", news()))));

/** What new connections lead to: to the uplink, from there, and to another end of the tenant's. */
async function expectAllWays(): Promise<void> {
  expect(await fromTenant("8.8.8.8")).toEqual(["eth1: 2.2.2.11 > 8.8.8.8"]);
  expect(await fromOutside()).toEqual(["eth0: key 1000 to 172.168.0.11: 8.8.8.8 > 10.0.0.7"]);
  expect(await fromTenant("192.168.9.9")).toEqual(["eth0: key 1000 to 172.168.0.7: 2.2.2.11 > 192.168.9.9"]);
}

beforeAll(async () => {
  site = await SidedGateway.start({
    config: (head + tenants).replace(
      "publicIps",
      "policy: { inbound: [{ allow: any }], outbound: [{ allow: any }] }\n    publicIps",
    ),
    setUp,
    neighbours: { 1000: ["10.0.0.7", "192.168.9.9"] },
  });
});
afterAll(() => site[Symbol.asyncDispose]());

describe("a strict reverse path filter for all devices", () => {
  beforeAll(() => site.sysctl("net.ipv4.conf.all.rp_filter=1"));
  afterAll(() => site.sysctl("net.ipv4.conf.all.rp_filter=0"));

  it("kills new connections until xgw has looked, and none after that", async () => {
    await site.sysctl("net.ipv4.conf.eth0.rp_filter=0", "net.ipv4.conf.xvrf1000.rp_filter=0");
    expect(await fromOutside()).toEqual([]);
    const plan = await site.xgw("plan");
    expect([plan.code, plan.stdout]).toEqual([1, expect.stringContaining("xvrf1000.rp_filter = 2")]);
    await site.apply();
    await expectAllWays();
  });

  it("is said by status, with what it still does", async () => {
    expect((await site.xgw("status")).stdout).toMatch(/warning: net\.ipv4\.conf\.all\.rp_filter is 1: .*rp_filter=0/);
  });
});

describe("forwarding, which somebody has switched off", () => {
  it.each(["xvrf1000", "xgre1000", "eth1"])("of %s is put right, and all goes its ways", async (device) => {
    await site.sysctl(`net.ipv4.conf.${device}.forwarding=0`);
    const plan = await site.xgw("plan");
    expect([plan.code, plan.stdout]).toEqual([1, expect.stringContaining(`${device}.forwarding = 1`)]);
    await site.apply();
    await expectAllWays();
  });

  it("of devices to come does not keep a new tenant's packets back", async () => {
    await site.sysctl("net.ipv4.conf.default.forwarding=0");
    await site.gateway.ip("link del xgre1000", "link del xvrf1000");
    await site.apply();
    await expectAllWays();
  });
});
