// The trust boundary on the slow path: who may send into a tenant, and what a tenant may send where. Each story was seen to go
// wrong before the kernel's own path judged it (src/plan/rules.ts, src/kernel/routing-rules.ts).
import { readdirSync, rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readReasons } from "../../../src/datapath/counters.js";
import { Pins } from "../../../src/datapath/pins.js";
import { arp, ethernet, etherType, gre, icmp, ipv4, raw, tcp, udp } from "../../bpf/support/packet.js";
import {
  head,
  instance,
  type Left,
  type Nic,
  packetOf,
  SidedGateway,
  told,
  underlayAddress,
} from "../support/sided-gateway.js";

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
const [hostileKey, victimKey, nobody] = [1000, 2000, 0];
const [hostile, victim] = ["172.168.0.11", "172.168.0.12"];
const outside = "8.8.8.8";
const dns = udp({ sport: 5353, dport: 53, payload: "a question" });
const far = "lladdr 02:00:00:00:00:fe";

const setUp = [
  "addr add 203.0.113.1/24 dev eth1",
  "addr add 192.168.99.1/24 dev mgmt0",
  "addr add 10.0.0.7/24 dev mgmt0", // as tenants' hosts have it
  "addr add 192.168.77.1/24 dev lo",
  `neigh replace 203.0.113.254 ${far} dev eth1 nud permanent`,
  `neigh replace 192.168.99.2 ${far} dev mgmt0 nud permanent`,
  "route add default via 203.0.113.254",
  ...[7, 9].flatMap((id) => [`link add link eth0 name eth0.${id} type vlan id ${id}`, `link set eth0.${id} up`]),
];
const onUnderlay = (device: string) => [
  `addr add 172.168.0.1/24 dev ${device}`,
  ...[hostile, victim, "172.168.0.77"].map((peer) => `neigh replace ${peer} ${far} dev ${device} nud permanent`),
];
const neighbours = { [hostileKey]: ["10.0.0.7", "10.0.0.9"], [victimKey]: ["10.0.0.7"] };

let site: SidedGateway;
const byWire = (nic: Nic, packet: Buffer, tags: readonly number[] = []) =>
  site.send(nic, site.frame(nic, packet, tags));
const inTunnel = (packet: Buffer) => byWire("eth0", site.tunnelled(hostileKey, hostile, packet));
/** From nobody's host, or from somebody who says that he is a peer. */
const forged = (source: string) => site.tunnelled(victimKey, source, packetOf("10.0.0.9", "10.0.0.7", dns));
const delivered = [`eth0: key 2000 to ${victim}: 10.0.0.9 > 10.0.0.7`];

/** What the uplink's program has dropped of the hostile tenant's. Ids go by the order in the config. */
const spoofedByUplink = () => readReasons(new Pins(instance), [1]).get(1)?.spoofed?.packets ?? 0;

/** What the rules refuse while something is done, by reason. */
async function refusedBy(key: number, act: () => Promise<unknown>): Promise<Record<string, number>> {
  const before = site.refused(key, instance);
  await act();
  const more = Object.entries(site.refused(key, instance)).map(
    ([reason, packets]) => [reason, packets - (before[reason] ?? 0)] as const,
  );
  return Object.fromEntries(more.filter(([, packets]) => packets > 0));
}

/** Nothing may leave, and the rules count it as the tenant's. */
async function expectRefused(key: number, reason: string, act: () => Promise<Parameters<typeof told>[0]>) {
  let left: string[] = [];
  const refused = await refusedBy(key, async () => {
    left = told(await act());
  });
  expect([left, refused]).toEqual([[], { [reason]: 1 }]);
}

describe("an untagged underlay and an uplink", () => {
  beforeAll(async () => {
    site = await SidedGateway.start({ config: head + tenants, setUp: [...setUp, ...onUnderlay("eth0")], neighbours });
  });
  afterAll(() => site[Symbol.asyncDispose]());

  it("lets a peer in, which is what the others pretend to be", async () => {
    expect(told(await byWire("eth0", forged(victim)))).toEqual(delivered);
  });

  it("decapsulates once: GRE with another tenant's key, sent inside a tunnel, reaches nobody", async () => {
    const transport = gre({ type: etherType.bridged, key: victimKey }, forged(victim).subarray(28));
    const nested = ipv4({ src: "10.0.0.7", dst: underlayAddress }, transport);
    await expectRefused(victimKey, "stranger", () => inTunnel(nested));
  });

  it.each<[string, Nic, string, number[]]>([
    ["a NIC that is not under `nics`", "mgmt0", victim, []],
    ["a NIC that is not under `nics`, as nobody's peer", "mgmt0", "172.168.0.66", []],
    ["the uplink", "eth1", victim, []],
    ["a VLAN of the underlay's NIC", "eth0", victim, [0x8100_0009]],
  ])("drops and counts a tenant's key that comes by %s", async (_what, nic, source, tags) => {
    await expectRefused(victimKey, "stranger", () => byWire(nic, forged(source), tags));
  });

  it.each([
    ["a checksum", { gre: { checksum: true } }],
    ["a sequence number", { gre: { sequence: 7 } }],
    ["both", { gre: { checksum: true, sequence: 7 } }],
    ["options in the outer header", { outer: { options: Buffer.from([1, 1, 1, 0]) } }],
  ])("drops and counts it with %s", async (_what, how) => {
    const packet = site.tunnelled(victimKey, victim, packetOf("10.0.0.9", "10.0.0.7", dns), how);
    await expectRefused(victimKey, "stranger", () => byWire("mgmt0", packet));
  });

  it("drops and counts a peer's packet with a checksum, which no tunnel of the kernel's here takes", async () => {
    const inner = packetOf("10.0.0.9", "10.0.0.7", dns);
    const packet = site.tunnelled(victimKey, victim, inner, { gre: { checksum: true } });
    await expectRefused(victimKey, "gre_checksum", () => byWire("eth0", packet));
  });

  it("drops and counts fragments of it, of which only the first has the key", async () => {
    const whole = forged(victim).subarray(20);
    const part = (offset: number, end: number, more: boolean) =>
      ipv4(
        { src: victim, dst: underlayAddress, id: 77, df: false, offset, more },
        raw(47, whole.subarray(offset, end)),
      );
    await byWire("mgmt0", part(0, 32, true));
    await expectRefused(victimKey, "stranger", () => byWire("mgmt0", part(32, whole.length, false)));
  });

  it("leaves other people's GRE alone", async () => {
    await site.gateway.ip(
      "link add theirs address 02:00:00:00:03:01 type gretap local 172.168.0.1 remote 192.168.99.2 key 77",
      "addr add 192.168.55.1/24 dev theirs",
      "link set theirs up",
      "neigh replace 192.168.55.2 lladdr 02:00:00:00:00:07 dev theirs nud permanent",
    );
    const ping = packetOf("192.168.55.2", "192.168.55.1", icmp());
    const frame = ethernet({ src: "02:00:00:00:00:07", dst: "02:00:00:00:03:01" }, ping);
    const packet = ipv4(
      { src: "192.168.99.2", dst: underlayAddress },
      gre({ type: etherType.bridged, key: 77 }, frame),
    );
    const left = told(await byWire("mgmt0", packet));
    await site.gateway.ip("link del theirs");
    expect(left).toEqual(["mgmt0: key 77 to 192.168.99.2: 192.168.55.1 > 192.168.55.2"]);
  });

  it.each([
    ["another tenant's public address", "2.2.2.12", {}],
    ["somebody's address", "4.4.4.4", {}],
    ["somebody's address, and would make the gateway answer him", "4.4.4.4", { ttl: 1 }],
    ["an inside address that has no public one", "10.0.0.9", {}],
  ])("lets nothing out by the uplink with %s, and counts it as its sender's", async (_what, source, more) => {
    let victims = {};
    await expectRefused(hostileKey, "spoofed", async () => {
      const packet = packetOf(source, outside, dns, more);
      let left: Parameters<typeof told>[0] = [];
      victims = await refusedBy(victimKey, async () => {
        left = await inTunnel(packet);
      });
      return left;
    });
    expect(victims).toEqual({});
  });

  it("takes nobody's mark on a tunnelled packet for that of the uplink's program", async () => {
    const theirs = "chain c { type filter hook prerouting priority mangle; meta mark set meta mark or 0xffff0000; }";
    await site.gateway.run("nft", `table ip theirs {\n${theirs}\n}`);
    try {
      await expectRefused(hostileKey, "spoofed", () => inTunnel(packetOf("4.4.4.4", outside, dns)));
    } finally {
      await site.gateway.run("nft", "delete table ip theirs");
    }
  });

  it("lets a host's own GRE out as its policy says", async () => {
    const inner = Buffer.concat([Buffer.from("00000800", "hex"), packetOf("10.8.0.1", "10.8.0.2", dns)]);
    const packet = packetOf("10.0.0.7", outside, raw(47, inner));
    expect(told(await inTunnel(packet))).toEqual([`eth1: 2.2.2.11 > ${outside}`]);
  });

  it("lets a host out by the uplink with its public address", async () => {
    expect(told(await inTunnel(packetOf("10.0.0.7", outside, dns)))).toEqual([`eth1: 2.2.2.11 > ${outside}`]);
  });

  it("takes what the uplink hands over from anybody outside", async () => {
    expect(told(await byWire("eth1", packetOf(outside, "2.2.2.11", dns)))).toEqual([
      `eth0: key 1000 to ${hostile}: ${outside} > 10.0.0.7`,
    ]);
  });

  it("takes nothing from outside that says it is from the tenant's own private network, and counts it", async () => {
    const before = spoofedByUplink();
    expect(told(await byWire("eth1", packetOf("10.0.0.9", "2.2.2.11", dns)))).toEqual([]);
    expect(spoofedByUplink() - before).toBe(1);
    await expectRefused(hostileKey, "spoofed", () => byWire("eth1", packetOf("10.0.0.9", "2.2.2.11", icmp())));
  });

  it("nor where a connection of the tenant's own has that tuple, and the flowtable carries it", async () => {
    const question = packetOf("10.0.0.9", "2.2.2.11", dns);
    await inTunnel(question);
    await inTunnel(packetOf("10.0.0.7", "10.0.0.9", udp({ sport: 53, dport: 5353, payload: "an answer" })));
    await inTunnel(question);
    expect(await site.gateway.run("conntrack", "-L", "-p", "udp")).toMatch(
      /src=10\.0\.0\.9 dst=2\.2\.2\.11.*\[OFFLOAD\]/,
    );
    expect(told(await byWire("eth1", question))).toEqual([]);
    await site.gateway.run("conntrack", "-F");
  });

  it("a tenant's packet that conntrack does not believe begins no connection that is nobody's", async () => {
    const toGateway = (flags: readonly ("syn" | "ack" | "rst")[], sport: number) => {
      const packet = packetOf("10.0.0.7", "10.0.0.1", tcp({ sport, dport: 80, flags }));
      const toAll = gre(
        { type: etherType.bridged, key: hostileKey },
        ethernet({ src: "02:00:00:00:00:07", dst: "ff:ff:ff:ff:ff:ff" }, packet), // so that the gateway does not answer
      );
      return ipv4({ src: hostile, dst: underlayAddress }, toAll);
    };
    for (let sport = 1000; sport < 1020; sport++)
      for (const flags of [["syn"], ["ack"], ["rst"]] as const) await byWire("eth0", toGateway(flags, sport));
    const nobodys = (await site.gateway.run("conntrack", "-L")).split("\n").filter((line) => !line.includes("zone="));
    expect(nobodys.filter((line) => line.includes("src=10.0.0.7"))).toEqual([]);
  });

  it("a tenant goes nowhere when somebody has deleted its VRF", async () => {
    await site.gateway.ip(`link del xvrf${hostileKey}`);
    const unreachable = raw(
      1,
      Buffer.concat([Buffer.from("0303fcfc00000000", "hex"), packetOf(outside, "10.0.0.7", dns)]),
    );
    const left = [];
    for (const to of [outside, "192.168.99.2", "172.168.0.77"]) {
      left.push(...told(await inTunnel(packetOf("10.0.0.7", to, unreachable))));
      left.push(...told(await inTunnel(packetOf("10.0.0.7", to, icmp()))));
    }
    await site.apply();
    expect(left).toEqual([]);
  });

  it("takes what comes from somebody else's private network", async () => {
    expect(told(await byWire("eth1", packetOf("10.9.9.9", "2.2.2.11", dns)))).toEqual([
      `eth0: key 1000 to ${hostile}: 10.9.9.9 > 10.0.0.7`,
    ]);
  });

  it.each([
    ["a VLAN's tag is not the uplink's", 0x8100_0009, []],
    ["a priority only is", 0x8100_a000, [`eth0: key 1000 to ${hostile}: ${outside} > 10.0.0.7`]],
  ])("knows the uplink's packets by their tags: %s", async (_what, tag, expected) => {
    expect(told(await byWire("eth1", packetOf(outside, "2.2.2.11", dns), [tag]))).toEqual(expected);
  });

  it("says that what listens on all addresses would serve tenants", async () => {
    await site.sysctl("net.ipv4.tcp_l3mdev_accept=1");
    const { code, stderr } = await site.xgw("plan");
    await site.sysctl("net.ipv4.tcp_l3mdev_accept=0");
    expect([code, stderr]).toEqual([0, expect.stringMatching(/tcp_l3mdev_accept is 1: .* VRF: ip vrf exec/)]);
    expect((await site.xgw("plan")).stderr).not.toMatch(/l3mdev_accept/);
  });

  it("says whose networks can be reached once the machine forwards", async () => {
    await site.sysctl("net.ipv4.ip_forward=0");
    const { stderr } = await site.xgw("plan");
    await site.apply();
    expect(stderr).toMatch(/ip_forward is 0 and becomes 1: the networks of mgmt0 can/);
    expect((await site.xgw("plan")).stderr).not.toMatch(/ip_forward/);
  });

  it.each<[string, Nic, string, string]>([
    ["from the uplink to the underlay", "eth1", outside, "172.168.0.77"],
    ["from the underlay to the uplink", "eth0", "172.168.0.77", outside],
    ["from the uplink to where it came from", "eth1", outside, "2.2.2.99"],
    ["from the uplink to a host on its own network", "eth1", outside, "203.0.113.77"],
    ["from the uplink back to it", "eth1", outside, "4.4.4.4"],
    ["from the underlay to a host that is not there", "eth0", "172.168.0.77", "172.168.0.99"],
  ])("forwards nothing %s that is no tenant's, and counts it", async (_what, nic, from, to) => {
    await expectRefused(nobody, "crossed", () => byWire(nic, packetOf(from, to, dns)));
  });

  it("asks for no host on the uplink's network, whoever sends to it: all of a tenant's goes by the router", async () => {
    const left: string[] = [];
    for (const at of [71, 72, 73]) left.push(...told(await inTunnel(packetOf("10.0.0.7", `203.0.113.${at}`, dns))));
    expect(left).toEqual([71, 72, 73].map((at) => `eth1: 2.2.2.11 > 203.0.113.${at}`));
    const known = await site.gateway.run("ip", "neigh", "show", "dev", "eth1");
    expect(known.match(/^[\d.]+/gm)).toEqual(["203.0.113.254"]);
  });

  it("does not judge what comes by other devices", async () => {
    const left = await byWire("mgmt0", packetOf("192.168.99.2", outside, dns));
    expect(told(left)).toEqual([`eth1: 192.168.99.2 > ${outside}`]);
  });

  it("sends no reset about a tenant's connection by the uplink, where it would go with private addresses", async () => {
    await site.gateway.run("nft", "add element ip xgw_sides no_pickup { 1 }");
    const middle = tcp({ sport: 4444, dport: 80, flags: ["ack"], payload: "more" });
    const left = told(await inTunnel(packetOf("10.0.0.7", outside, middle)));
    await site.gateway.run("nft", "delete element ip xgw_sides no_pickup { 1 }");
    expect(left).toEqual([]);
  });

  it("delivers nothing of a tenant's to what listens for all devices alike", async () => {
    const hello = packetOf("10.0.0.7", "10.0.0.1", raw(89, Buffer.alloc(24)));
    await expectRefused(hostileKey, "unserved", () => inTunnel(hello));
  });

  it("reaches a tenant's host that has an address of the gateway's", async () => {
    const left = told(await byWire("eth1", packetOf(outside, "2.2.2.12", dns)));
    expect(left).toEqual([`eth0: key 2000 to ${victim}: ${outside} > 10.0.0.7`]);
  });

  it("is not there inside a tenant with its own addresses", async () => {
    expect(told(await inTunnel(packetOf("10.0.0.7", "192.168.77.1", icmp())))).toEqual([
      "eth1: 2.2.2.11 > 192.168.77.1",
    ]);
  });

  it("answers inside a tenant under the address that it has there", async () => {
    const left = told(await inTunnel(packetOf("10.0.0.7", "10.0.0.1", icmp())));
    expect(left).toEqual([`eth0: key 1000 to ${hostile}: 10.0.0.1 > 10.0.0.7`]);
  });

  describe("where the host forwards IPv6", () => {
    beforeAll(async () => {
      const devices = ["all", "mgmt0", "xgre1000", "xvrf1000"];
      await site.sysctl(
        ...devices.map((name) => `net.ipv6.conf.${name}.disable_ipv6=0`),
        "net.ipv6.conf.all.forwarding=1",
      );
      await site.gateway.ip(
        "addr add fd00:99::1/64 dev mgmt0 nodad",
        `neigh replace fd00:99::2 ${far} dev mgmt0 nud permanent`,
      );
      await site.settled();
    });

    /** UDP to a host of the gateway's own network. */
    const toManagement = Buffer.alloc(48);
    toManagement.writeUInt32BE(0x6000_0000, 0);
    toManagement.writeUInt32BE(0x0008_1140, 4);
    toManagement.write("fd000001000000000000000000000007fd000099000000000000000000000002", 8, "hex");
    toManagement.writeUInt16BE(8, 44);
    const send = () => byWire("eth0", site.tunnelled(hostileKey, hostile, toManagement, { type: etherType.ipv6 }));

    it("does not lead a tenant's packets into the gateway's networks, and counts them", async () => {
      await expectRefused(hostileKey, "other_family", send);
    });

    it("leads nothing from one side to the other that is no tenant's, and counts it", async () => {
      await site.gateway.ip(
        "addr add fd00:aa::1/64 dev eth0 nodad",
        `neigh replace fd00:aa::2 ${far} dev eth0 nud permanent`,
      );
      const toUnderlay = Buffer.from(toManagement);
      toUnderlay.write("fd0000bb000000000000000000000007fd0000aa000000000000000000000002", 8, "hex");
      await expectRefused(nobody, "crossed", () =>
        site.send("eth1", site.frame("eth1", toUnderlay, [], etherType.ipv6)),
      );
    });

    it("does not with the nft table gone, either", async () => {
      await site.gateway.run("nft", "delete table ip6 xgw_sides");
      expect(told(await send())).toEqual([]);
      await site.apply();
    });
  });

  describe("the order of the routing rules", () => {
    const rules = async (family: string) => (await site.gateway.run("ip", family, "rule", "show")).trim().split("\n");

    it.each(["-4", "-6"])("is tenants first (ip %s)", async (family) => {
      expect((await rules(family)).slice(0, 2)).toEqual([
        expect.stringMatching(/l3mdev/),
        expect.stringMatching(/^0:.*lookup local/),
      ]);
    });

    it("is noticed when somebody takes the rule for VRFs away, and put right", async () => {
      await site.gateway.ip("rule del pref 0 l3mdev");
      expect((await site.xgw("plan")).stdout).toMatch(/ip rules of ipv4: tenants' tables before/);
      await site.apply();
      expect((await rules("-4"))[0]).toMatch(/l3mdev/);
    });

    it("leaves the machine's own addresses before what others add", async () => {
      await site.gateway.ip("route add default via 203.0.113.254 table 77", "rule add from all lookup 77");
      const ping = packetOf(outside, "203.0.113.1", icmp());
      const left = told(await byWire("eth1", ping));
      await site.gateway.ip("rule del from all lookup 77", "route flush table 77");
      expect(left).toEqual([`eth1: 203.0.113.1 > ${outside}`]);
    });

    it("lets nobody's rule stand in front of it", async () => {
      await site.gateway.ip("rule add pref 0 from 10.0.0.0/8 table 77", "rule add iif eth1 table 78");
      const { code, stderr } = await site.xgw("plan");
      const inTenant = told(await inTunnel(packetOf("10.0.0.7", outside, dns)));
      await site.gateway.ip("rule del from 10.0.0.0/8 table 77", "rule del iif eth1 table 78");
      expect(stderr).not.toMatch(/preference/);
      expect([code, inTenant]).toEqual([0, [`eth1: 2.2.2.11 > ${outside}`]]);
    });
  });

  const bpffs = "/sys/fs/bpf/xgw/sides";
  it.each<[string, () => void]>([
    ["detached", () => rmSync(`${bpffs}/links/xdp_eth0`)],
    ["all of bpffs wiped", () => rmSync(bpffs, { recursive: true })],
  ])("keeps strangers out whatever state XDP is in: %s", async (_what, harm) => {
    expect(readdirSync(`${bpffs}/links`)).toContain("xdp_eth0");
    harm();
    await expectRefused(victimKey, "stranger", () => byWire("eth0", forged("172.168.0.66")));
    await expectRefused(victimKey, "stranger", () => byWire("eth0", forged(hostile)));
    expect(told(await byWire("eth0", forged(victim)))).toEqual(delivered);
    await site.apply();
  });

  it("forwards between its sides what is nobody's where the config says so, and lets no tenant out for it", async () => {
    await site.apply(`${head}host: { forward: true }\n${tenants}`);
    const host = told(await byWire("eth1", packetOf(outside, "172.168.0.77", dns)));
    expect(host).toEqual([`eth0: ${outside} > 172.168.0.77`]);
    await expectRefused(hostileKey, "spoofed", () => inTunnel(packetOf("10.0.0.9", outside, dns)));
    await site.apply(head + tenants);
  });

  it("lets nobody in, out or through, and learns of no host, while it is being made", async () => {
    expect((await site.xgw("teardown")).code).toBe(0);
    await site.sysctl("net.ipv4.ip_forward=0"); // as on a machine that has been no router before
    let isMade = false;
    const making = site.xgw("apply").finally(() => {
      isMade = true;
    });
    const stranger = "172.168.0.66";
    const poison = arp({
      operation: "request",
      senderMac: "02:66:66:66:66:66",
      sender: "10.0.0.8",
      targetMac: "00:00:00:00:00:00",
      target: "10.0.0.1",
    });
    const bridged = gre({ type: etherType.bridged, key: victimKey }, poison);
    const tries: [Nic, Buffer][] = [
      ["eth1", packetOf(outside, "172.168.0.77", dns)],
      ["eth0", packetOf("172.168.0.77", outside, dns)],
      ["eth0", forged(stranger)],
      ["eth0", site.tunnelled(victimKey, stranger, packetOf("10.0.0.7", outside, dns))],
      ["eth0", site.tunnelled(victimKey, victim, packetOf("4.4.4.4", outside, dns))],
      ["eth0", ipv4({ src: stranger, dst: underlayAddress }, bridged)],
    ];
    const left: Left[] = [];
    while (!isMade) for (const [nic, packet] of tries) left.push(...(await byWire(nic, packet)));
    const { code, stderr } = await making;
    expect([code, stderr]).toEqual([0, expect.stringMatching(/networks of .*mgmt0/)]);
    // Before its tunnel is there, a peer's packet is one for a port that nobody listens at: the peer is told, in ICMP.
    const toldThePeer = `eth0: ${underlayAddress} > ${victim}`;
    expect(told(left).filter((line) => line !== toldThePeer)).toEqual([]);
    expect(await site.gateway.run("ip", "neigh", "show", "dev", `xgre${victimKey}`)).not.toContain("02:66:66");
    await site.apply();
  });

  it("is not there inside a tenant, either, whose teardown ends before its devices have gone", async () => {
    expect((await site.xgwWithout("link del", "teardown")).code).toBe(1);
    const left = told(await inTunnel(packetOf("10.0.0.7", "192.168.77.1", icmp())));
    expect(left.filter((line) => line.includes("192.168.77.1 >"))).toEqual([]);
    expect((await site.xgw("teardown")).code).toBe(0);
    await site.apply();
  });

  it("leaves a rule for the machine's own addresses after a teardown, also where somebody has removed xgw's", async () => {
    await site.gateway.ip("rule del pref 0 table local");
    expect((await site.xgw("teardown")).code).toBe(0);
    expect(await site.gateway.run("ip", "rule", "show")).toMatch(/^0:.*lookup local/);
    await site.apply();
  });

  it("leaves the routing rules as the kernel makes them after a teardown", async () => {
    await site.xgw("teardown");
    for (const family of ["-4", "-6"]) {
      const all = (await site.gateway.run("ip", family, "rule", "show")).split("\n");
      expect([all[0], all.filter((rule) => /lookup local/.test(rule)).length]).toEqual([
        "0:\tfrom all lookup local",
        1,
      ]);
    }
  });
});

describe("an underlay that is a VLAN", () => {
  const q = (id: number) => 0x8100_0000 + id;
  beforeAll(async () => {
    const config = head.replace("device: eth0,", "device: eth0.7,") + tenants;
    site = await SidedGateway.start({ config, setUp: [...setUp, ...onUnderlay("eth0.7")], neighbours });
  });
  afterAll(() => site[Symbol.asyncDispose]());

  it("lets a peer in by its VLAN", async () => {
    expect(told(await byWire("eth0", forged(victim), [q(7)]))).toEqual(delivered);
  });

  it.each<[string, Nic, number[]]>([
    ["untagged", "eth0", []],
    ["by another VLAN", "eth0", [q(9)]],
    ["by the uplink", "eth1", []],
    ["by another NIC", "mgmt0", []],
  ])("lets nobody in %s", async (_what, nic, tags) => {
    await expectRefused(victimKey, "stranger", () => byWire(nic, forged(victim), tags));
  });
});
