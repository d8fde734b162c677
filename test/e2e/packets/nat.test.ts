// NAT, sizes, fragments and ICMP errors through a whole gateway, packet by packet: what goes into one tunnel and what comes
// out of which. Packets are compared byte for byte, so every checksum is looked at.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Ipv4Fields, icmp, ipv4, type Transport, tcp, udp } from "../../bpf/support/packet.js";
import { type End, icmpError, parseIcmpError, RawGateway, type Sent } from "../support/raw-gateway.js";

const config = `apiVersion: xgw/v1
instance: raw
underlay: { device: eth0, address: 172.168.0.1 }
tenants:
  - name: user1
    key: 1000
    addresses: [1.1.1.11/24, 10.0.0.1/24]
    routes:
      - { to: 10.0.0.0/24, via: 172.168.0.11 }
      - { to: 1.1.1.7/32, via: 172.168.0.7 }
      - { to: 2.2.2.0/24, via: 172.168.0.7 }   # the far side's router knows whose they are
    publicIps:
      - { address: 2.2.2.11, to: 10.0.0.7 }
    portForwards:
      - { address: 2.2.2.13, protocol: tcp, port: 8000-8100, to: 10.0.0.8 }
      - { address: 2.2.2.13, protocol: udp, port: 9000-9100, to: 10.0.0.8, toPort: 7000 }
    snat: { address: 2.2.2.13 }
    policy:
      inbound: [{ allow: any }]
      outbound: [{ deny: udp, ports: [666] }, { allow: any }]
  - name: user2
    key: 2000
    tunnel: gre
    addresses: [10.0.0.1/24]
    routes:
      - { to: 10.0.0.7/32, via: 172.168.0.12 }
      - { to: 1.1.1.7/32, via: 172.168.0.7 }
    publicIps:
      - { address: 2.2.2.12, to: 10.0.0.7 }
    policy:
      inbound: [{ allow: udp, ports: [5000] }, { allow: tcp }]
`;

const client: End = { kind: "gretap", key: 1000, endpoint: "172.168.0.7" };
const user1: End = { kind: "gretap", key: 1000, endpoint: "172.168.0.11" };
const client2: End = { kind: "gre", key: 2000, endpoint: "172.168.0.7" };
const user2: End = { kind: "gre", key: 2000, endpoint: "172.168.0.12" };
const far = "1.1.1.7";

let raw: RawGateway;
beforeAll(async () => {
  raw = await RawGateway.start({
    config,
    endpoints: ["172.168.0.7", "172.168.0.11", "172.168.0.12"],
    neighbours: { 1000: ["10.0.0.7", "10.0.0.8", "10.0.0.9", far, "2.2.2.12"] },
  });
});
afterAll(async () => raw[Symbol.asyncDispose]());

/** What left, in words: into whose tunnel, and the packet. */
const seen = (sent: readonly Sent[]) =>
  sent.map(({ key, endpoint, packet }) => `${key} to ${endpoint}: ${packet.toString("hex")}`);
const leaving = ({ key, endpoint }: End, packet: Buffer) => `${key} to ${endpoint}: ${packet.toString("hex")}`;

type Addresses = Pick<Ipv4Fields, "src" | "dst">;

/** Sends one packet; what the gateway must send for it is the same but for addresses, ports and TTL. */
async function passes(
  [from, arriving, at]: readonly [End, Addresses, Transport],
  [to, left, as]: readonly [End, Addresses, Transport],
  more: Partial<Ipv4Fields> = {},
): Promise<Sent["by"]> {
  const sent = await raw.ask(from, ipv4({ ...more, ...arriving }, at));
  expect(seen(sent)).toEqual([leaving(to, ipv4({ ...more, ...left, ttl: (more.ttl ?? 64) - 1 }, as))]);
  return sent[0]?.by ?? "kernel";
}

const datagram = (sport: number, dport: number, payload: string | Uint8Array = "words", checksum = true) =>
  udp({ sport, dport, payload, checksum });

describe("port forwards of ranges", () => {
  it("lead each port to the one with its place", async () => {
    for (const at of [0, 1, 50, 99, 100])
      await passes(
        [client, { src: far, dst: "2.2.2.13" }, datagram(30000 + at, 9000 + at)],
        [user1, { src: far, dst: "10.0.0.8" }, datagram(30000 + at, 7000 + at)],
      );
  });

  it("and their answers back", async () => {
    await passes(
      [user1, { src: "10.0.0.8", dst: far }, datagram(7050, 30050)],
      [client, { src: "2.2.2.13", dst: far }, datagram(9050, 30050)],
    );
  });

  it("leave ports as they are when no other is named", async () => {
    for (const port of [8000, 8001, 8100]) {
      const syn = tcp({ sport: 30000, dport: port, flags: ["syn"] });
      await passes([client, { src: far, dst: "2.2.2.13" }, syn], [user1, { src: far, dst: "10.0.0.8" }, syn]);
    }
  });

  it("a port beside them is answered, and goes nowhere", async () => {
    const packet = ipv4({ src: far, dst: "2.2.2.13" }, datagram(30000, 9101));
    const [answer, ...more] = await raw.ask(client, packet);
    expect([answer?.endpoint, more]).toEqual([client.endpoint, []]);
    const { type, code, dst, quoted } = parseIcmpError(answer?.packet ?? Buffer.alloc(0));
    expect([type, code, dst, quoted.subarray(12).toString("hex")]).toEqual([
      3,
      1,
      far,
      packet.subarray(12).toString("hex"),
    ]);
  });
});

describe("a shared public address", () => {
  const asked: { host: string; port: number }[] = [];

  it("tells two hosts with one source port apart by the ports that the kernel allots", async () => {
    for (const host of ["10.0.0.8", "10.0.0.9"]) {
      const [sent] = await raw.ask(user1, ipv4({ src: host, dst: far }, datagram(40000, 53)));
      const packet = sent?.packet ?? Buffer.alloc(28);
      asked.push({ host, port: packet.readUInt16BE(20) });
      expect([sent?.endpoint, packet.subarray(12, 16).join(".")]).toEqual([client.endpoint, "2.2.2.13"]);
    }
    expect(new Set(asked.map(({ port }) => port)).size).toBe(2);
  });

  it("and gives each the answers that are its own", async () => {
    for (const { host, port } of asked)
      await passes(
        [client, { src: far, dst: "2.2.2.13" }, datagram(53, port)],
        [user1, { src: far, dst: host }, datagram(53, 40000)],
      );
  });

  it("by XDP from then on", async () => {
    const { host, port } = asked[1] ?? { host: "", port: 0 };
    const out = () =>
      passes(
        [user1, { src: host, dst: far }, datagram(40000, 53)],
        [client, { src: "2.2.2.13", dst: far }, datagram(port, 53)],
      );
    await out();
    const back = await passes(
      [client, { src: far, dst: "2.2.2.13" }, datagram(53, port)],
      [user1, { src: far, dst: host }, datagram(53, 40000)],
    );
    expect([await out(), back]).toEqual(["xdp", "xdp"]);
  });

  it("stays away from a host that has its own", async () => {
    await passes(
      [user1, { src: "10.0.0.7", dst: far }, datagram(40000, 53)],
      [client, { src: "2.2.2.11", dst: far }, datagram(40000, 53)],
    );
  });
});

/** Lets a UDP connection become known; what XDP carries of it afterwards, there and back. */
async function converse(
  there: readonly [End, Addresses, End, Addresses],
  back: readonly [End, Addresses, End, Addresses],
  [sport, dport]: readonly [number, number],
): Promise<Sent["by"][]> {
  const by: Sent["by"][] = [];
  for (let round = 0; round < 3; round++) {
    const [from, at, to, as] = there;
    by.push(await passes([from, at, datagram(sport, dport)], [to, as, datagram(sport, dport)]));
    const [backFrom, backAt, backTo, backAs] = back;
    by.push(await passes([backFrom, backAt, datagram(dport, sport)], [backTo, backAs, datagram(dport, sport)]));
  }
  return by.slice(4);
}

describe("a tenant's public address from inside", () => {
  it("a host reaches its own, and sees itself as the public address; by XDP both ways", async () => {
    const by = await converse(
      [user1, { src: "10.0.0.7", dst: "2.2.2.11" }, user1, { src: "2.2.2.11", dst: "10.0.0.7" }],
      [user1, { src: "10.0.0.7", dst: "2.2.2.11" }, user1, { src: "2.2.2.11", dst: "10.0.0.7" }],
      [41000, 5000],
    );
    expect(by).toEqual(["xdp", "xdp"]);
  });

  it("a host without its own reaches its neighbour's, and is seen under the shared one", async () => {
    const by = await converse(
      [user1, { src: "10.0.0.9", dst: "2.2.2.11" }, user1, { src: "2.2.2.13", dst: "10.0.0.7" }],
      [user1, { src: "10.0.0.7", dst: "2.2.2.13" }, user1, { src: "2.2.2.11", dst: "10.0.0.9" }],
      [41001, 5000],
    );
    expect(by).toEqual(["xdp", "xdp"]);
  });
});

describe("another tenant's public address", () => {
  it("is reached by the far side's router, both ways by XDP in both tenants", async () => {
    const first = await converse(
      [user1, { src: "10.0.0.7", dst: "2.2.2.12" }, client, { src: "2.2.2.11", dst: "2.2.2.12" }],
      [client, { src: "2.2.2.12", dst: "2.2.2.11" }, user1, { src: "2.2.2.12", dst: "10.0.0.7" }],
      [42000, 5000],
    );
    expect(first).toEqual(["xdp", "xdp"]);
  });

  it("by its own policy, too", async () => {
    const at = { src: far, dst: "2.2.2.12" };
    await passes([client2, at, datagram(42000, 5000)], [user2, { src: far, dst: "10.0.0.7" }, datagram(42000, 5000)]);
    const shut = raw.frame(client2, ipv4(at, datagram(42000, 5001)));
    const denied = raw.frame(user1, ipv4({ src: "10.0.0.7", dst: "2.2.2.12" }, datagram(42000, 666)));
    expect(seen(await raw.refused(shut, denied))).toEqual([]);
  });

  it("without a route there, the gateway says that it cannot be reached", async () => {
    const packet = ipv4({ src: "10.0.0.7", dst: "2.2.2.11" }, datagram(42000, 5000));
    const [sent, ...more] = await raw.ask(user2, packet);
    expect([sent?.key, sent?.endpoint, more]).toEqual([2000, user2.endpoint, []]);
    const { type, code, src, dst } = parseIcmpError(sent?.packet ?? Buffer.alloc(0));
    expect({ type, code, src, dst }).toEqual({ type: 3, code: 1, src: "10.0.0.1", dst: "10.0.0.7" });
  });
});

describe("a packet too large for the way out", () => {
  const big = (sport: number, dport: number, bytes = 1462) => datagram(sport, dport, Buffer.alloc(bytes - 28, "x"));

  /** What the sender is told. */
  async function told(from: End, packet: Buffer) {
    const [sent, ...more] = await raw.ask(from, packet);
    expect([sent?.key, sent?.endpoint, more]).toEqual([from.key, from.endpoint, []]);
    const { type, code, mtu, src, dst, quoted } = parseIcmpError(sent?.packet ?? Buffer.alloc(0));
    const length = Math.min(quoted.length, packet.length);
    expect(quoted.subarray(12, length).toString("hex"), "the packet as it was sent, from its addresses on").toBe(
      packet.subarray(12, length).toString("hex"),
    );
    return { type, code, mtu, src, dst };
  }

  it("from outside: the sender gets the MTU from the public address, its packet quoted as it sent it", async () => {
    const at = { src: far, dst: "2.2.2.11" };
    await converse(
      [client, at, user1, { src: far, dst: "10.0.0.7" }],
      [user1, { src: "10.0.0.7", dst: far }, client, { src: "2.2.2.11", dst: far }],
      [43000, 5000],
    );
    expect(await told(client, ipv4(at, big(43000, 5000)))).toEqual({
      type: 3,
      code: 4,
      mtu: 1458,
      src: "2.2.2.11",
      dst: far,
    });
  });

  it("from inside: the host gets it, too, about a connection under the shared address", async () => {
    await raw.ask(user1, ipv4({ src: "10.0.0.9", dst: far }, datagram(43001, 53)));
    const { type, code, mtu, dst } = await told(user1, ipv4({ src: "10.0.0.9", dst: far }, big(43001, 53)));
    expect({ type, code, mtu, dst }).toEqual({ type: 3, code: 4, mtu: 1458, dst: "10.0.0.9" });
  });

  it("that may be fragmented is, and is whole again at the other end", async () => {
    const packet = ipv4({ src: far, dst: "2.2.2.11", df: false, id: 77 }, big(43000, 5000));
    const sent = await raw.ask(client, packet);
    expect(sent.map(({ packet }) => packet.length).every((length) => length <= 1458)).toBe(true);
    expect(joined(sent).toString("hex")).toBe(big(43000, 5000).bytes(far, "10.0.0.7").toString("hex"));
  });
});

/** The payload of the fragments of one packet. */
function joined(sent: readonly Sent[]): Buffer {
  const whole = Buffer.alloc(65536);
  let length = 0;
  for (const { packet } of sent) {
    const offset = (packet.readUInt16BE(6) & 0x1fff) * 8;
    length = Math.max(length, offset + packet.copy(whole, offset, 20, packet.readUInt16BE(2)));
  }
  return whole.subarray(0, length);
}

describe("fragments", () => {
  /** An IP packet in fragments that fit a tunnel. */
  function fragments(addresses: Addresses, id: number, transport: Transport): Buffer[] {
    const bytes = transport.bytes(addresses.src, addresses.dst);
    const size = 1400;
    return Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => {
      const offset = at * size;
      const part = bytes.subarray(offset, offset + size);
      const fields = { ...addresses, id, df: false, offset, more: offset + size < bytes.length };
      return ipv4(fields, { protocol: transport.protocol, bytes: () => Buffer.from(part) });
    });
  }
  const large = (sport: number, dport: number) => datagram(sport, dport, Buffer.alloc(3001, "fragment"));

  it("of a datagram are delivered both ways, though XDP has the connection", async () => {
    expect(
      await converse(
        [client, { src: far, dst: "2.2.2.11" }, user1, { src: far, dst: "10.0.0.7" }],
        [user1, { src: "10.0.0.7", dst: far }, client, { src: "2.2.2.11", dst: far }],
        [44000, 5000],
      ),
    ).toEqual(["xdp", "xdp"]);
    const ask = (from: End, addresses: Addresses, id: number, transport: Transport) =>
      raw.askFrames(fragments(addresses, id, transport).map((packet) => raw.frame(from, packet)));
    const inwards = await ask(client, { src: far, dst: "2.2.2.11" }, 7, large(44000, 5000));
    expect(joined(inwards).toString("hex")).toBe(large(44000, 5000).bytes(far, "10.0.0.7").toString("hex"));
    const outwards = await ask(user1, { src: "10.0.0.7", dst: far }, 8, large(5000, 44000));
    expect(joined(outwards).toString("hex")).toBe(large(5000, 44000).bytes("2.2.2.11", far).toString("hex"));
    expect([...inwards, ...outwards].map(({ by }) => by)).not.toContain("xdp");
  });

  it("of two tenants with equal addresses and ids are never put together", async () => {
    const addresses = { src: "10.0.0.7", dst: far };
    const [first, second, third] = fragments(addresses, 9, large(44001, 53)) as [Buffer, Buffer, Buffer];
    const mixed = [raw.frame(user1, first), raw.frame(user2, second), raw.frame(user1, third)];
    expect(seen(await raw.refused(...mixed))).toEqual([]);
    const whole = await raw.askFrames([raw.frame(user1, second)]);
    expect(joined(whole).toString("hex")).toBe(large(44001, 53).bytes("2.2.2.11", far).toString("hex"));
  });

  it("of the outer packet are put together before", async () => {
    const packet = ipv4({ src: far, dst: "2.2.2.11" }, datagram(44000, 5000, "in two pieces"));
    const outer = raw.frame(client, packet).subarray(14);
    const piece = (offset: number, end: number) =>
      ipv4(
        { src: client.endpoint, dst: "172.168.0.1", id: 99, df: false, offset, more: end < outer.length - 20 },
        { protocol: 47, bytes: () => Buffer.from(outer.subarray(20 + offset, 20 + end)) },
      );
    const pieces = [piece(0, 40), piece(40, outer.length - 20)].map((part) => raw.outerFrame(part));
    expect(seen(await raw.askFrames(pieces))).toEqual([
      leaving(user1, ipv4({ src: far, dst: "10.0.0.7", ttl: 63 }, datagram(44000, 5000, "in two pieces"))),
    ]);
  });
});

describe("what is rare", () => {
  it("IP options go with the packet", async () => {
    const options = Buffer.from([1, 1, 1, 0]);
    await passes(
      [client, { src: far, dst: "2.2.2.11" }, datagram(45000, 5000)],
      [user1, { src: far, dst: "10.0.0.7" }, datagram(45000, 5000)],
      { options },
    );
    await passes(
      [user1, { src: "10.0.0.7", dst: far }, datagram(5000, 45000)],
      [client, { src: "2.2.2.11", dst: far }, datagram(5000, 45000)],
      { options },
    );
  });

  it.each([
    ["without a checksum", "words", false],
    ["of odd length", "odd", true],
    ["of odd length without a checksum", "odd", false],
    ["without a payload", "", true],
  ])("datagrams %s, by the kernel first and by XDP then", async (_what, payload, checksum) => {
    const port = 45001 + payload.length + (checksum ? 10 : 0);
    const inwards = () =>
      passes(
        [client, { src: far, dst: "2.2.2.11" }, datagram(port, 5000, payload, checksum)],
        [user1, { src: far, dst: "10.0.0.7" }, datagram(port, 5000, payload, checksum)],
      );
    const outwards = () =>
      passes(
        [user1, { src: "10.0.0.7", dst: far }, datagram(5000, port, payload, checksum)],
        [client, { src: "2.2.2.11", dst: far }, datagram(5000, port, payload, checksum)],
      );
    const by = [await inwards(), await outwards()];
    for (let round = 0; round < 2; round++) by.push(await inwards(), await outwards());
    expect([by.slice(0, 2), by.slice(4)]).toEqual([
      ["kernel", "kernel"],
      ["xdp", "xdp"],
    ]);
  });

  it.each([
    ["from outside", client, { src: far, dst: "2.2.2.11" }],
    ["from inside", user1, { src: "10.0.0.7", dst: far }],
  ] as const)(
    "a packet that dies here, %s: its sender is told, its packet quoted as it was sent",
    async (_from, end, at) => {
      const there = end === client ? user1 : client;
      await raw.ask(end, ipv4(at, datagram(46000, 5000)));
      const as = end === client ? { src: "10.0.0.7", dst: far } : { src: far, dst: "2.2.2.11" };
      await raw.ask(there, ipv4(as, datagram(5000, 46000)));
      const dying = ipv4({ ...at, ttl: 1 }, datagram(46000, 5000));
      const [sent] = await raw.ask(end, dying);
      expect(sent?.endpoint).toBe(end.endpoint);
      const { type, code, dst, quoted } = parseIcmpError(sent?.packet ?? Buffer.alloc(0));
      expect([type, code, dst]).toEqual([11, 0, at.src]);
      expect(quoted.subarray(12, 28).toString("hex")).toBe(dying.subarray(12, 28).toString("hex"));
    },
  );

  it("an echo request and its answer", async () => {
    const request = icmp("odd");
    await passes([client, { src: far, dst: "2.2.2.11" }, request], [user1, { src: far, dst: "10.0.0.7" }, request]);
  });
});

describe("ICMP errors about a translated connection are translated, in their quotes as well", () => {
  const errors: [string, { type: number; code: number; mtu?: number }][] = [
    ["port unreachable", { type: 3, code: 3 }],
    ["fragmentation needed", { type: 3, code: 4, mtu: 1300 }],
    ["time exceeded", { type: 11, code: 0 }],
  ];

  it.each(errors)(
    "%s from the tenant's host, with the 28 bytes that must be quoted and with all",
    async (_what, error) => {
      const port = 47000 + error.type * 10 + error.code;
      const packet = ipv4({ src: far, dst: "2.2.2.13" }, datagram(port, 9007));
      const [sent] = await raw.ask(client, packet);
      const arrived = sent?.packet ?? Buffer.alloc(0);
      // What the host got is one hop older than what the client sent: the TTL in the quote is the host's.
      const quoted = ipv4({ src: far, dst: "2.2.2.13", ttl: 63 }, datagram(port, 9007));
      for (const bytes of [28, arrived.length]) {
        const seenThere = await raw.ask(user1, icmpError({ src: "10.0.0.8", dst: far }, error, arrived, bytes));
        expect(seen(seenThere)).toEqual([
          leaving(client, icmpError({ src: "2.2.2.13", dst: far, ttl: 63 }, error, quoted, bytes)),
        ]);
      }
    },
  );

  it.each(errors)("%s from a router outside, about a connection under the shared address", async (_what, error) => {
    const port = 48000 + error.type * 10 + error.code;
    const [sent] = await raw.ask(user1, ipv4({ src: "10.0.0.9", dst: far }, datagram(port, 53)));
    const left = sent?.packet ?? Buffer.alloc(0);
    const quoted = ipv4({ src: "10.0.0.9", dst: far, ttl: 63 }, datagram(port, 53));
    const seenHere = await raw.ask(client, icmpError({ src: "1.1.1.1", dst: "2.2.2.13" }, error, left));
    expect(seen(seenHere)).toEqual([
      leaving(user1, icmpError({ src: "1.1.1.1", dst: "10.0.0.9", ttl: 63 }, error, quoted)),
    ]);
  });
});

describe("TCP's maximum segment size", () => {
  const syn = (port: number, size: number, flags: ("syn" | "ack")[] = ["syn"]) =>
    tcp({ sport: port, dport: 22, flags, options: Buffer.from([2, 4, size >> 8, size & 0xff]) });

  it("is lowered to what the tunnel carries, in both directions", async () => {
    const at = { src: far, dst: "2.2.2.11" };
    await passes([client, at, syn(49000, 1460)], [user1, { src: far, dst: "10.0.0.7" }, syn(49000, 1418)]);
    const back = (size: number) =>
      tcp({ sport: 22, dport: 49000, flags: ["syn", "ack"], options: Buffer.from([2, 4, size >> 8, size & 0xff]) });
    await passes(
      [user1, { src: "10.0.0.7", dst: far }, back(1460)],
      [client, { src: "2.2.2.11", dst: far }, back(1418)],
    );
  });

  it("of a gre tunnel is that tunnel's", async () => {
    const at = { src: far, dst: "2.2.2.12" };
    await passes([client2, at, syn(49001, 9000)], [user2, { src: far, dst: "10.0.0.7" }, syn(49001, 1432)]);
  });

  it("is never raised, and none is added", async () => {
    const at = { src: far, dst: "2.2.2.11" };
    await passes([client, at, syn(49002, 536)], [user1, { src: far, dst: "10.0.0.7" }, syn(49002, 536)]);
    const bare = tcp({ sport: 49003, dport: 22, flags: ["syn"] });
    await passes([client, at, bare], [user1, { src: far, dst: "10.0.0.7" }, bare]);
  });
});
