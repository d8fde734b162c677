// ICMP errors that concern the gateway itself: what it tells the outside about packets that do not get on, and what it believes
// about its own.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { etherType, gre, icmp, ipProtocol, ipv4, raw, type Transport, tcp, udp } from "../../bpf/support/packet.js";
import { icmpError, parseIcmpError } from "../support/raw-gateway.js";
import { head, instance, type Nic, packetOf, SidedGateway, told, underlayAddress } from "../support/sided-gateway.js";

const config = `${head}
tenants:
  - name: shop
    key: 1000
    addresses: [10.0.0.1/24]
    routes: [{ to: 10.0.0.0/24, via: 172.168.0.11 }]
    publicIps: [{ address: 2.2.2.11, to: 10.0.0.7 }, { address: 2.2.2.66, to: 10.0.0.66 }]
    portForwards:
      - { address: 2.2.2.13, protocol: udp, port: 53, to: 10.0.0.8, toPort: 5353 }
      - { address: 2.2.2.13, protocol: udp, port: 8000-8010, to: 10.0.0.8 }
    snat: { address: 2.2.2.14 }
    policy: { inbound: [{ allow: any }] }
  - name: other
    key: 2000
    addresses: [10.0.0.1/24]
    routes: [{ to: 10.0.0.0/24, via: 172.168.0.12 }]
    publicIps: [{ address: 2.2.2.12, to: 10.0.0.7 }]
    policy: { inbound: [{ allow: any }] }
`;
const [shopKey, otherKey, nobody] = [1000, 2000, 0];
const [shop, other, bystander] = ["172.168.0.11", "172.168.0.12", "172.168.0.66"];
const outside = "8.8.8.8";
const far = "lladdr 02:00:00:00:00:fe";
/** The underlay's 1500 bytes less what a gretap takes. */
const tunnelMtu = 1458;

let site: SidedGateway;
beforeAll(async () => {
  site = await SidedGateway.start({
    config,
    setUp: [
      "addr add 203.0.113.1/24 dev eth1",
      "addr add 172.168.0.1/24 dev eth0",
      "addr add 10.0.0.1/24 dev mgmt0", // as the gateway has it inside tenants
      `neigh replace 203.0.113.254 ${far} dev eth1 nud permanent`,
      ...[shop, other, bystander].map((host) => `neigh replace ${host} ${far} dev eth0 nud permanent`),
      "route add default via 203.0.113.254",
    ],
    neighbours: { [shopKey]: ["10.0.0.7", "10.0.0.8", "10.0.0.9"], [otherKey]: ["10.0.0.7"] },
  });
  // The kernel tells one host no more than an error a second, and fast tests ask for more.
  await site.sysctl("net.ipv4.icmp_ratelimit=0");
});
afterAll(() => site[Symbol.asyncDispose]());

const byWire = (nic: Nic, packet: Buffer, tags: readonly number[] = []) =>
  site.send(nic, site.frame(nic, packet, tags));
const inTunnel = (packet: Buffer) => byWire("eth0", site.tunnelled(shopKey, shop, packet));

/** The one ICMP error that leaves by the uplink, and its sender; all that leaves if it is not that. */
async function errorTo(packet: Buffer) {
  const left = await byWire("eth1", packet);
  const [only] = left;
  if (left.length !== 1 || only?.nic !== "eth1" || only.packet?.[9] !== ipProtocol.icmp) return told(left);
  const { quoted, ...error } = parseIcmpError(only.packet);
  return { ...error, quotesIt: quoted.length >= 28 && quoted.equals(packet.subarray(0, quoted.length)) };
}

const large = Buffer.alloc(1472);
const question = (dport: number) => udp({ sport: 4444, dport, payload: large });

describe("somebody outside whose packet is too large for the tunnel is told so by the address that he sent it to:", () => {
  it.each<[string, string, Transport]>([
    ["UDP to a one-to-one address", "2.2.2.11", question(53)],
    ["TCP", "2.2.2.11", tcp({ sport: 4444, dport: 80, flags: ["syn"], payload: large.subarray(12) })],
    ["an echo request", "2.2.2.11", icmp("x".repeat(1472))],
    ["UDP to a forwarded port", "2.2.2.13", question(53)],
    ["UDP to a port of a range", "2.2.2.13", question(8005)],
  ])("%s", async (_what, address, transport) => {
    const expected = { src: address, dst: outside, type: 3, code: 4, mtu: tunnelMtu, quotesIt: true };
    expect(await errorTo(packetOf(outside, address, transport))).toEqual(expected);
  });

  it("an answer to a host that shares an address", async () => {
    const [left] = await inTunnel(
      packetOf("10.0.0.9", outside, udp({ sport: 4000, dport: 53, payload: "a question" })),
    );
    expect(left?.packet?.subarray(12, 16).join(".")).toBe("2.2.2.14");
    const port = left?.packet?.readUInt16BE(20) ?? 0;
    const answer = packetOf(outside, "2.2.2.14", udp({ sport: 53, dport: port, payload: large }));
    const expected = { src: "2.2.2.14", dst: outside, type: 3, code: 4, mtu: tunnelMtu, quotesIt: true };
    expect(await errorTo(answer)).toEqual(expected);
  });

  it("and what may be fragmented gets on", async () => {
    const left = told(await byWire("eth1", packetOf(outside, "2.2.2.11", question(53), { df: false })));
    expect(left.length).toBeGreaterThan(1);
    expect(new Set(left)).toEqual(new Set([`eth0: key 1000 to ${shop}: ${outside} > 10.0.0.7`]));
  });
});

describe("somebody outside is told under the address that he used", () => {
  it("that his packet's time is over", async () => {
    const packet = packetOf(outside, "2.2.2.11", udp({ sport: 4445, dport: 53, payload: "a question" }), { ttl: 1 });
    expect(await errorTo(packet)).toMatchObject({ src: "2.2.2.11", dst: outside, type: 11, code: 0, quotesIt: true });
  });

  it("that the host does not answer", async () => {
    const packet = packetOf(outside, "2.2.2.66", udp({ sport: 4446, dport: 53, payload: "a question" }));
    expect(told(await byWire("eth1", packet))).toEqual([]);
    await sleep(4000); // ARP is tried three times, a second each
    const errors = (await site.settled()).flatMap(({ nic, packet: left }) => (nic === "eth1" && left ? [left] : []));
    expect(errors.map(parseIcmpError)).toMatchObject([{ src: "2.2.2.66", dst: outside, type: 3, code: 1 }]);
  });
});

describe("nothing is said to the outside from an address inside a tenant,", () => {
  it.each([
    ["about a port that leads nowhere", packetOf(outside, "2.2.2.13", udp({ sport: 4447, dport: 9, payload: "x" }))],
    ["about what conntrack does not take", packetOf(outside, "2.2.2.11", tcp({ sport: 4448, dport: 80, flags: [] }))],
    [
      "about an answer that nobody waits for",
      packetOf(outside, "2.2.2.14", tcp({ sport: 80, dport: 4449, flags: ["ack"], payload: large.subarray(12) })),
    ],
  ])("%s", async (_what, packet) => {
    expect(told(await byWire("eth1", packet))).toEqual([]);
  });

  it("while the gateway speaks for itself there", async () => {
    const packet = packetOf(outside, "203.0.113.1", udp({ sport: 4450, dport: 9, payload: "x" }));
    expect(await errorTo(packet)).toMatchObject({ src: "203.0.113.1", type: 3, code: 3, quotesIt: true });
  });
});

describe("a host of the tenant's is told inside its tunnel", () => {
  it("that its packet is too large for the uplink", async () => {
    await site.gateway.ip("link set eth1 mtu 1400");
    await site.apply();
    const packet = packetOf("10.0.0.7", outside, udp({ sport: 4451, dport: 53, payload: Buffer.alloc(1401) }));
    const [left] = await inTunnel(packet);
    await site.gateway.ip("link set eth1 mtu 1500");
    await site.apply();
    expect(left?.tunnelled).toMatchObject({ key: shopKey, endpoint: shop });
    const { quoted, ...error } = parseIcmpError(left?.tunnelled?.packet ?? Buffer.alloc(0));
    expect(error).toMatchObject({ src: "10.0.0.1", dst: "10.0.0.7", type: 3, code: 4, mtu: 1400 });
    expect(quoted.equals(packet.subarray(0, quoted.length))).toBe(true);
  });
});

describe("the way to an endpoint becomes narrower by what only its routers can know:", () => {
  const narrow = 1200;
  const isNarrow = async (peer = other) =>
    (await site.gateway.run("ip", "route", "get", peer, "from", underlayAddress)).includes(`mtu ${narrow}`);

  interface Quote {
    readonly key?: number;
    readonly to?: string;
    readonly options?: Buffer;
    readonly sequence?: number;
    readonly by?: string;
  }
  const tunnelPacket = ({ key = otherKey, to = other, options, sequence, by = underlayAddress }: Quote = {}) =>
    ipv4(
      { src: by, dst: to, ...(options ? { options } : {}) },
      gre({ type: etherType.bridged, key, ...(sequence === undefined ? {} : { sequence }) }, Buffer.alloc(40)),
    );
  /** An answer to an echo of a peer's. */
  const echoReply = (options?: Buffer) =>
    ipv4(
      { src: underlayAddress, dst: other, ...(options ? { options } : {}) },
      raw(ipProtocol.icmp, Buffer.from([0, 0, 0xff, 0xff, 0, 0, 0, 0])),
    );
  const needed = (about: Buffer, to = underlayAddress, from = bystander) =>
    icmpError({ src: from, dst: to }, { type: 3, code: 4, mtu: narrow }, about, (about[0] ?? 0x45) === 0x45 ? 28 : 36);

  /** How many errors were refused, of a tenant's or nobody's, and whether the kernel believes it now. */
  async function learned(key: number, act: () => Promise<unknown>) {
    const forged = () => site.refused(key, instance).forged ?? 0;
    const before = forged();
    await act();
    const isBelieved = await isNarrow();
    await site.gateway.ip("route flush cache");
    return { refused: forged() - before, isBelieved };
  }

  it("by the underlay about what the gateway sends there", async () => {
    expect(await learned(nobody, () => byWire("eth0", needed(tunnelPacket())))).toEqual({
      refused: 0,
      isBelieved: true,
    });
  });

  const noops = Buffer.from([1, 1, 1, 0]);
  it.each<[string, Quote]>([
    ["a key that nobody has", { key: 0 }],
    ["a key of another endpoint's", { key: shopKey }],
    ["a header with options", { options: noops }],
    ["a sequence number", { sequence: 1 }],
    ["another address of the gateway's", { by: "203.0.113.1", key: 0 }],
  ])("not about a packet with %s", async (_what, quote) => {
    const forged = { refused: 1, isBelieved: false };
    expect(await learned(nobody, () => byWire("eth0", needed(tunnelPacket(quote))))).toEqual(forged);
  });

  it("not by the underlay to another address of the gateway's", async () => {
    const error = needed(tunnelPacket({ key: 0 }), "203.0.113.1");
    expect(await learned(nobody, () => byWire("eth0", error))).toEqual({ refused: 1, isBelieved: false });
  });

  it.each<[string, Nic]>([
    ["the uplink", "eth1"],
    ["another NIC", "mgmt0"],
  ])("not by %s", async (_what, nic) => {
    expect((await learned(nobody, () => byWire(nic, needed(tunnelPacket())))).isBelieved).toBe(false);
  });

  it.each<[string, number, Buffer | undefined, (error: Buffer) => Promise<unknown>]>([
    ["by the underlay", nobody, undefined, (error) => byWire("eth0", error)],
    ["by the uplink", nobody, undefined, (error) => byWire("eth1", error)],
    ["with options", nobody, noops, (error) => byWire("eth1", error)],
  ])("not about an answer to an echo, %s", async (_what, key, options, send) => {
    expect(await learned(key, () => send(needed(echoReply(options))))).toEqual({ refused: 1, isBelieved: false });
  });

  it("not about an answer to an echo, from inside a tenant", async () => {
    const error = needed(echoReply(), "10.0.0.1", "10.0.0.7");
    expect(await learned(shopKey, () => inTunnel(error))).toEqual({ refused: 1, isBelieved: false });
  });

  it("not by a redirect, which says another way", async () => {
    const redirect = icmpError({ src: bystander, dst: underlayAddress }, { type: 5, code: 1 }, tunnelPacket());
    redirect.set([172, 168, 0, 66], 24);
    await byWire("eth0", redirect);
    expect(await site.gateway.run("ip", "route", "get", other, "from", underlayAddress)).not.toContain(bystander);
  });
});
