// The trust boundary on the slow path: who may send into a tenant, and what a tenant may send where. Each story was seen to go
// wrong before the rules of judge_gre, leaving and the like were there (src/plan/rules.ts).
import { readdirSync, rmSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { etherType, gre, icmp, ipv4, raw, tcp, udp } from "../../bpf/support/packet.js";
import { macs, type Nic, packetOf, SidedGateway, told, underlayAddress } from "../support/sided-gateway.js";

const head = `apiVersion: xgw/v1
instance: sides
underlay: { device: eth0, address: 172.168.0.1 }
uplink: { device: eth1, gateway: 203.0.113.254 }
nics: [{ name: eth0 }, { name: eth1 }]
`;
const tenants = `
tenants:
  - name: hostile
    key: 1000
    addresses: [10.0.0.1/24]
    routes: [{ to: 10.0.0.0/24, via: 172.168.0.11 }]
    publicIps: [{ address: 2.2.2.11, to: 10.0.0.7 }]
    policy: { inbound: [{ allow: udp, ports: [53] }], outbound: [{ allow: any }] }
  - name: victim
    key: 2000
    addresses: [10.0.0.1/24]
    routes: [{ to: 10.0.0.0/24, via: 172.168.0.12 }]
    publicIps: [{ address: 2.2.2.12, to: 10.0.0.7 }]
    policy: { inbound: [{ allow: any }], outbound: [{ allow: any }] }
`;
const config = head + tenants;
const [hostile, victim] = ["172.168.0.11", "172.168.0.12"];
const outside = "8.8.8.8";
const dns = udp({ sport: 5353, dport: 53, payload: "a question" });

const setUp = [
  "addr add 172.168.0.1/24 dev eth0",
  "addr add 203.0.113.1/24 dev eth1",
  "addr add 192.168.99.1/24 dev mgmt0",
  "neigh replace 203.0.113.254 lladdr 02:00:00:00:00:fe dev eth1 nud permanent",
  "neigh replace 192.168.99.2 lladdr 02:00:00:00:00:fe dev mgmt0 nud permanent",
  "route add default via 203.0.113.254",
  ...[hostile, victim, "172.168.0.77"].map(
    (peer) => `neigh replace ${peer} lladdr 02:00:00:00:00:fe dev eth0 nud permanent`,
  ),
];
const neighbours = { 1000: ["10.0.0.7", "10.0.0.9"], 2000: ["10.0.0.7"] };

let site: SidedGateway;
const start = async (text: string, more: readonly string[] = []) => {
  site = await SidedGateway.start({ config: text, setUp: [...setUp, ...more], neighbours });
};
const stop = () => site[Symbol.asyncDispose]();

/** Of the tenant, what the rules have refused so far, by reason. */
async function refused(name: string) {
  const { tenants } = await site.status();
  const counts = tenants.find((tenant) => tenant.name === name)?.refused ?? {};
  return Object.fromEntries(Object.entries(counts).map(([reason, { packets }]) => [reason, packets]));
}

/** From nobody's host, or from somebody who says that he is a peer. */
const forged = (source: string) => site.tunnelled(2000, source, packetOf("10.0.0.9", "10.0.0.7", dns));
const byWire = (nic: Nic, packet: Buffer, tags: readonly number[] = []) =>
  site.send(nic, site.frame(nic, packet, tags));

describe("an untagged underlay and an uplink", () => {
  beforeAll(() => start(config, ["link add link eth0 name eth0.9 type vlan id 9", "link set eth0.9 up"]));
  afterAll(stop);

  it("lets a peer in, which is what the others pretend to be", async () => {
    expect(told(await byWire("eth0", forged(victim)))).toEqual([`eth0: key 2000 to ${victim}: 10.0.0.9 > 10.0.0.7`]);
  });

  it("decapsulates once: GRE with another tenant's key, sent inside a tunnel, reaches nobody", async () => {
    const nested = ipv4(
      { src: "10.0.0.7", dst: underlayAddress },
      gre({ type: etherType.bridged, key: 2000 }, forged(victim).subarray(28)),
    );
    const left = await byWire("eth0", site.tunnelled(1000, hostile, nested));
    expect(left.filter(({ tunnelled }) => tunnelled?.key === 2000)).toEqual([]);
    expect(await refused("victim")).toEqual({ stranger: 1 });
  });

  it.each<[string, Nic, string, number[]]>([
    ["a NIC that is not under `nics`", "mgmt0", victim, []],
    ["a NIC that is not under `nics`, as nobody's peer", "mgmt0", "172.168.0.66", []],
    ["the uplink", "eth1", victim, []],
    ["a VLAN of the underlay's NIC", "eth0", victim, [0x8100_0009]],
  ])("drops and counts a tenant's key that comes by %s", async (_what, nic, source, tags) => {
    const { stranger = 0 } = await refused("victim");
    expect(told(await byWire(nic, forged(source), tags))).toEqual([]);
    expect((await refused("victim")).stranger).toBe(stranger + 1);
  });

  it("drops and counts it whatever is in GRE's header", async () => {
    const { stranger = 0 } = await refused("victim");
    const inner = packetOf("10.0.0.9", "10.0.0.7", dns);
    for (const more of [{ checksum: true }, { sequence: 7 }, { checksum: true, sequence: 7 }])
      expect(told(await byWire("mgmt0", site.tunnelled(2000, victim, inner, { gre: more })))).toEqual([]);
    const options = { options: Buffer.from([1, 1, 1, 0]) };
    expect(told(await byWire("mgmt0", site.tunnelled(2000, victim, inner, { outer: options })))).toEqual([]);
    expect((await refused("victim")).stranger).toBe(stranger + 4);
  });

  it("drops and counts fragments of it, of which only the first has the key", async () => {
    const { stranger = 0 } = await refused("victim");
    const whole = forged(victim).subarray(20);
    const part = (offset: number, end: number, more: boolean) =>
      ipv4(
        { src: victim, dst: underlayAddress, id: 77, df: false, offset, more },
        raw(47, whole.subarray(offset, end)),
      );
    await byWire("mgmt0", part(0, 32, true));
    expect(told(await byWire("mgmt0", part(32, whole.length, false)))).toEqual([]);
    expect((await refused("victim")).stranger).toBe(stranger + 1);
  });

  it("leaves other people's GRE alone", async () => {
    await site.gateway.ip(
      "link add theirs type gretap local 172.168.0.1 remote 192.168.99.2 key 77",
      "addr add 192.168.55.1/24 dev theirs",
      "link set theirs up",
    );
    const theirMac = JSON.parse(await site.gateway.run("ip", "-j", "link", "show", "theirs"))[0].address as string;
    const ping = packetOf("192.168.55.2", "192.168.55.1", icmp());
    const { ethernet } = await import("../../bpf/support/packet.js");
    await site.gateway.ip("neigh replace 192.168.55.2 lladdr 02:00:00:00:00:07 dev theirs nud permanent");
    const frame = ethernet({ src: "02:00:00:00:00:07", dst: theirMac }, ping);
    const packet = ipv4(
      { src: "192.168.99.2", dst: underlayAddress },
      gre({ type: etherType.bridged, key: 77 }, frame),
    );
    expect(told(await byWire("mgmt0", packet))).toEqual(["mgmt0: key 77 to 192.168.99.2: 192.168.55.1 > 192.168.55.2"]);
    await site.gateway.ip("link del theirs");
  });

  it.each([
    ["a private address", "10.0.0.9"],
    ["another tenant's public address", "2.2.2.12"],
    ["somebody's", "4.4.4.4"],
  ])("lets nothing out by the uplink with %s, and counts it as its sender's", async (_what, source) => {
    const before = await refused("hostile");
    const packet = site.tunnelled(1000, hostile, packetOf(source, outside, dns));
    expect(told(await byWire("eth0", packet))).toEqual([]);
    expect(await refused("hostile")).toEqual({ ...before, spoofed: (before.spoofed ?? 0) + 1 });
    const { tenants } = await site.status();
    expect(tenants.find(({ name }) => name === "victim")?.forwarded.stack.packets).toBe(1); // the peer's, above
  });

  it("lets a host out by the uplink with its public address", async () => {
    const packet = site.tunnelled(1000, hostile, packetOf("10.0.0.7", outside, dns));
    expect(told(await byWire("eth0", packet))).toEqual([`eth1: 2.2.2.11 > ${outside}`]);
  });

  it("forwards nothing between its sides that is no tenant's, and counts it", async () => {
    expect(told(await byWire("eth1", packetOf(outside, "172.168.0.77", dns)))).toEqual([]);
    expect(told(await byWire("eth0", packetOf("172.168.0.77", outside, dns)))).toEqual([]);
    expect((await site.status()).refused).toEqual({ crossed: expect.objectContaining({ packets: 2 }) });
  });

  it("does not judge what comes by other devices", async () => {
    expect(told(await byWire("mgmt0", packetOf("192.168.99.2", outside, dns)))).toEqual([
      `eth1: 192.168.99.2 > ${outside}`,
    ]);
  });

  it("sends no reset about a tenant's connection by the uplink, where it would go with private addresses", async () => {
    await site.gateway.run("nft", "add element ip xgw_sides no_pickup { 1 }");
    const middle = tcp({ sport: 4444, dport: 80, flags: ["ack"], payload: "more" });
    const left = told(await byWire("eth0", site.tunnelled(1000, hostile, packetOf("10.0.0.7", outside, middle))));
    await site.gateway.run("nft", "delete element ip xgw_sides no_pickup { 1 }");
    expect(left).toEqual([]);
  });

  it("delivers nothing of a tenant's to what listens for all devices alike", async () => {
    const before = await refused("hostile");
    await byWire("eth0", site.tunnelled(1000, hostile, packetOf("10.0.0.7", "10.0.0.1", raw(89, Buffer.alloc(24)))));
    expect(await refused("hostile")).toEqual({ ...before, unserved: 1 });
  });
});

describe("addresses that the gateway has, too", () => {
  beforeAll(() => start(config, ["addr add 10.0.0.7/24 dev mgmt0", "addr add 192.168.77.1/24 dev lo"]));
  afterAll(stop);

  it("do not stand in the way of a tenant's host", async () => {
    expect(told(await byWire("eth1", packetOf(outside, "2.2.2.12", dns)))).toEqual([
      `eth0: key 2000 to ${victim}: ${outside} > 10.0.0.7`,
    ]);
  });

  it("are not there inside a tenant", async () => {
    const ping = site.tunnelled(2000, victim, packetOf("10.0.0.7", "192.168.77.1", icmp()));
    expect(told(await byWire("eth0", ping))).toEqual([`eth1: 2.2.2.12 > 192.168.77.1`]);
  });

  it("of its own inside the tenant still answer", async () => {
    const ping = site.tunnelled(2000, victim, packetOf("10.0.0.7", "10.0.0.1", icmp()));
    expect(told(await byWire("eth0", ping))).toEqual([`eth0: key 2000 to ${victim}: 10.0.0.1 > 10.0.0.7`]);
  });
});

describe("IPv6 where the host forwards it", () => {
  beforeAll(async () => {
    await start(config);
    await site.gateway.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.mgmt0.disable_ipv6=0");
    await site.gateway.run(
      "sysctl",
      "-qw",
      "net.ipv6.conf.xgre1000.disable_ipv6=0",
      "net.ipv6.conf.xvrf1000.disable_ipv6=0",
    );
    await site.gateway.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1");
    await site.gateway.ip(
      "addr add fd00:99::1/64 dev mgmt0 nodad",
      "-6 neigh replace fd00:99::2 lladdr 02:00:00:00:00:fe dev mgmt0 nud permanent",
    );
    await site.settled();
  });
  afterAll(stop);

  const ipv6 = (to: string) => {
    const header = Buffer.alloc(40 + 8);
    header[0] = 0x60;
    header.writeUInt16BE(8, 4);
    header[6] = 17;
    header[7] = 64;
    header.write("fd000001000000000000000000000007", 8, "hex");
    header.write(to, 24, "hex");
    header.writeUInt16BE(8, 44);
    return header;
  };
  const toManagement = ipv6("fd000099000000000000000000000002");
  const fromTenant = () => site.tunnelled(1000, hostile, toManagement, { type: etherType.ipv6 });

  it("does not lead a tenant's packets into the gateway's networks, and they are counted", async () => {
    expect(told(await byWire("eth0", fromTenant()))).toEqual([]);
    expect(await refused("hostile")).toEqual({ other_family: 1 });
  });

  it("does not, with the nft table gone", async () => {
    await site.gateway.run("nft", "delete table ip6 xgw_sides");
    expect(told(await byWire("eth0", fromTenant()))).toEqual([]);
    await site.apply();
  });
});

describe("whatever state XDP is in", () => {
  const bpffs = "/sys/fs/bpf/xgw/sides";
  beforeAll(() => start(config));
  afterEach(() => site.apply());
  afterAll(stop);

  it.each<[string, () => void]>([
    ["detached", () => rmSync(`${bpffs}/links/xdp_eth0`)],
    ["all of bpffs wiped", () => rmSync(bpffs, { recursive: true })],
  ])("strangers stay out: %s", async (_what, harm) => {
    expect(readdirSync(`${bpffs}/links`)).toContain("xdp_eth0");
    harm();
    expect(told(await byWire("eth0", forged("172.168.0.66")))).toEqual([]);
    expect(told(await byWire("eth0", forged(hostile)))).toEqual([]);
    expect(told(await byWire("eth0", forged(victim)))).toEqual([`eth0: key 2000 to ${victim}: 10.0.0.9 > 10.0.0.7`]);
    expect((await refused("victim")).stranger).toBeGreaterThanOrEqual(2);
  });
});

describe("an underlay that is a VLAN", () => {
  const tagged = config.replace("device: eth0,", "device: eth0.7,");
  const q = (id: number) => 0x8100_0000 + id;
  beforeAll(async () => {
    await start(tagged, [
      ...[7, 8].flatMap((id) => [`link add link eth0 name eth0.${id} type vlan id ${id}`, `link set eth0.${id} up`]),
      "addr del 172.168.0.1/24 dev eth0",
      "addr add 172.168.0.1/24 dev eth0.7",
      ...[hostile, victim].map((peer) => `neigh replace ${peer} lladdr 02:00:00:00:00:fe dev eth0.7 nud permanent`),
    ]);
  });
  afterAll(stop);

  it("lets a peer in by its VLAN", async () => {
    expect(told(await byWire("eth0", forged(victim), [q(7)]))).toEqual([
      `eth0: key 2000 to ${victim}: 10.0.0.9 > 10.0.0.7`,
    ]);
  });

  it.each<[string, Nic, number[]]>([
    ["untagged", "eth0", []],
    ["by another VLAN", "eth0", [q(8)]],
    ["by the uplink", "eth1", []],
    ["by another NIC", "mgmt0", []],
  ])("lets nobody in %s", async (_what, nic, tags) => {
    const { stranger = 0 } = await refused("victim");
    expect(told(await byWire(nic, forged(victim), tags))).toEqual([]);
    expect((await refused("victim")).stranger).toBe(stranger + 1);
  });
});

describe("the host's own business", () => {
  beforeAll(() => start(`${head}host: { forward: true }\n${tenants}`));
  afterAll(stop);

  it("is forwarded between the sides where the config says so", async () => {
    expect(told(await byWire("eth1", packetOf(outside, "172.168.0.77", dns)))).toEqual([
      `eth0: ${outside} > 172.168.0.77`,
    ]);
  });

  it("is not a tenant's: what is spoofed stays here all the same", async () => {
    expect(told(await byWire("eth0", site.tunnelled(1000, hostile, packetOf("4.4.4.4", outside, dns))))).toEqual([]);
  });

  it("is not touched by a frame for another MAC address", async () => {
    const frame = site.frame("eth1", packetOf(outside, "2.2.2.12", dns));
    Buffer.from(macs.mgmt0.replaceAll(":", ""), "hex").copy(frame);
    expect(told(await site.send("eth1", frame))).toEqual([]);
  });
});

describe("the order of the routing rules", () => {
  const rules = async (...family: string[]) =>
    (await site.gateway.run("ip", ...family, "rule", "show")).trim().split("\n");
  beforeAll(() => start(config));
  afterAll(stop);

  it("is tenants first, in both families", async () => {
    for (const family of [["-4"], ["-6"]]) {
      const [first = "", second = ""] = await rules(...family);
      expect([first, second]).toEqual([
        expect.stringMatching(/l3mdev/),
        expect.stringMatching(/^32765:.*lookup local/),
      ]);
    }
  });

  it("is noticed when somebody puts the local table first again, and put right", async () => {
    await site.gateway.ip("rule add pref 0 table local");
    expect((await site.xgw("plan")).stdout).toMatch(/ip rules of ipv4: tenants' tables before/);
    await site.apply();
    expect((await rules("-4"))[0]).toMatch(/l3mdev/);
  });

  it("names somebody else's rule that stands in front", async () => {
    await site.gateway.ip("rule add pref 50 from 10.0.0.0/8 table 77", "rule add pref 51 iif eth1 table 78");
    const { code, stderr } = await site.xgw("plan");
    await site.gateway.ip("rule del pref 50", "rule del pref 51");
    expect([code, stderr.match(/preference \d+ \(ipv4, table \d+\)/g)]).toEqual([
      0,
      ["preference 50 (ipv4, table 77)"],
    ]);
  });

  it("is as the kernel makes it after a teardown", async () => {
    await site.xgw("teardown");
    for (const family of [["-4"], ["-6"]]) {
      const all = await rules(...family);
      expect([all[0], all.filter((rule) => /lookup local/.test(rule)).length]).toEqual([
        "0:\tfrom all lookup local",
        1,
      ]);
    }
    await site.apply();
  });
});
