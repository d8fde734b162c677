// What XDP does not do itself: each packet goes up as it arrived, under a reason of its own; from a stranger it is dropped.
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { Datapath } from "./support/datapath.js";
import { expectDropped, expectPassed, nobody } from "./support/expectations.js";
import * as packet from "./support/packet.js";
import {
  clientEndpoint,
  macs,
  type Outer,
  type Segment,
  stranger,
  type TestConnection,
  type TestTenant,
  user1,
  user2,
  World,
  wrapped,
} from "./support/world.js";

const datapath = new Datapath();
afterAll(() => datapath[Symbol.dispose]());
const world = new World(datapath);
beforeEach(() => world.reset());

/** A packet that is declined, and how the gateway came to it. */
interface Declined {
  readonly name: string;
  readonly reason: string;
  readonly protocol?: "tcp" | "udp";
  readonly segment?: Segment;
  readonly outer?: Outer;
  /** Something that happens to the connection before the packet arrives. */
  given?(connection: TestConnection, tenant: TestTenant): void;
}

const routerAlert = Buffer.from([0x94, 0x04, 0x00, 0x00]);

const declined: readonly Declined[] = [
  { name: "a first fragment", reason: "fragment", segment: { df: false, more: true } },
  { name: "a last fragment", reason: "fragment", segment: { df: false, offset: 1480 } },
  { name: "a packet with IP options", reason: "ip_options", segment: { options: routerAlert } },
  { name: "a packet with TTL 1", reason: "ttl", segment: { ttl: 1 } },
  { name: "a packet with TTL 0", reason: "ttl", segment: { ttl: 0 } },
  { name: "a TCP packet larger than the MTU", reason: "mtu", segment: { payload: Buffer.alloc(1472) } },
  {
    name: "a UDP packet larger than the MTU",
    reason: "mtu",
    protocol: "udp",
    segment: { payload: Buffer.alloc(1472) },
  },
  { name: "a SYN", reason: "tcp_control", segment: { tcpFlags: ["syn"], payload: "" } },
  { name: "a SYN with ACK", reason: "tcp_control", segment: { tcpFlags: ["syn", "ack"], payload: "" } },
  { name: "a FIN", reason: "tcp_control", segment: { tcpFlags: ["fin", "ack"], payload: "" } },
  { name: "an RST", reason: "tcp_control", segment: { tcpFlags: ["rst"], payload: "" } },
  {
    name: "a packet of a flow learned before the tenant changed",
    reason: "generation",
    given: (_, tenant) => datapath.generations.set(tenant.id, 1),
  },
  {
    name: "a packet of a flow whose template has gone",
    reason: "template",
    given: ({ original }) => {
      const id = datapath.flows.get(original.key)?.encap ?? 0;
      const encap = datapath.encaps.get(id);
      if (encap) datapath.encaps.set(id, { ...encap, state: 0 });
    },
  },
  {
    name: "a packet of a flow whose template is being written",
    reason: "template",
    given: ({ original }) => {
      const id = datapath.flows.get(original.key)?.encap ?? 0;
      const encap = datapath.encaps.get(id);
      if (encap) datapath.encaps.set(id, { ...encap, state: 1 });
    },
  },
  {
    name: "a packet of a flow whose template is another tenant's",
    reason: "template",
    given: ({ original }) => {
      const id = datapath.flows.get(original.key)?.encap ?? 0;
      const encap = datapath.encaps.get(id);
      if (encap) datapath.encaps.set(id, { ...encap, tenant: encap.tenant + 1 });
    },
  },
  {
    name: "a packet of a flow that leaves by a NIC that is not ours any more",
    reason: "template",
    given: ({ original }) => {
      const id = datapath.flows.get(original.key)?.encap ?? 0;
      const encap = datapath.encaps.get(id);
      if (encap) datapath.encaps.set(id, { ...encap, ifindex: 4242 });
    },
  },
  {
    name: "a packet of no flow",
    reason: "no_flow",
    given: ({ original }) => datapath.flows.delete(original.key),
  },
  { name: "a packet with the ECN mark CE outside only", reason: "ecn", outer: { tos: 3 } },
  { name: "a packet with ECT(0) outside and ECT(1) inside", reason: "ecn", segment: { tos: 1 }, outer: { tos: 2 } },
  { name: "GRE with a sequence number", reason: "gre_flags", outer: { gre: { sequence: 7 } } },
  { name: "GRE with a checksum", reason: "gre_flags", outer: { gre: { checksum: true } } },
  { name: "an outer header with options", reason: "ip_options", outer: { options: routerAlert } },
  { name: "a first fragment of the outer packet", reason: "fragment", outer: { df: false, more: true } },
];

for (const tenant of [user1, user2])
  describe(`from a ${tenant.wrap} tunnel`, () => {
    for (const { name, reason, segment, outer, protocol = "tcp", given } of declined) {
      it(`${name} goes up as it arrived`, () => {
        const connection = world.establish({ tenant, protocol });
        given?.(connection, tenant);
        const frame = connection.original.arrives(segment, outer);
        expectPassed(datapath.receive(frame), frame, tenant, reason);
      });

      it(`${name} from a stranger is dropped`, () => {
        const connection = world.establish({ tenant, protocol });
        given?.(connection, tenant);
        const frame = connection.original.arrives(segment, { ...outer, src: stranger });
        expectDropped(datapath.receive(frame), tenant, "stranger");
      });

      it(`${name} of a tenant that has gone is dropped`, () => {
        const connection = world.establish({ tenant, protocol });
        given?.(connection, tenant);
        world.removeTenant(tenant);
        datapath.generations.set(tenant.id, 2);
        const frame = connection.original.arrives(segment, outer);
        expectDropped(datapath.receive(frame), nobody, "unknown_key");
      });
    }

    for (const [name, transport] of [
      ["ICMP", packet.icmp()],
      ["SCTP", packet.raw(packet.ipProtocol.sctp, Buffer.alloc(32, 1))],
      ["GRE in the tunnel", packet.gre({ type: packet.etherType.ipv4, key: 3000 }, Buffer.alloc(40))],
    ] as const)
      it(`${name} is the kernel's`, () => {
        const frame = tunnelled(tenant, packet.ipv4({ src: "1.1.1.7", dst: "2.2.2.11" }, transport));
        expectPassed(datapath.receive(frame), frame, tenant, "not_tcp_udp");
      });

    it("IP of another version inside goes up as malformed", () => {
      const inner = packet.ipv4({ src: "1.1.1.7", dst: "2.2.2.11", version: 6 }, packet.tcp({ sport: 1, dport: 2 }));
      const frame = tunnelled(tenant, inner);
      expectPassed(datapath.receive(frame), frame, tenant, "malformed");
    });

    it("an inner header shorter than a header goes up as malformed", () => {
      const inner = packet.ipv4({ src: "1.1.1.7", dst: "2.2.2.11", ihl: 4 }, packet.tcp({ sport: 1, dport: 2 }));
      const frame = tunnelled(tenant, inner);
      expectPassed(datapath.receive(frame), frame, tenant, "malformed");
    });

    it("an inner packet that claims more bytes than have arrived goes up as malformed", () => {
      const { original } = world.establish({ tenant });
      const frame = original.arrives({ payload: "short" });
      const lengthAt = tenant.wrap === "gretap" ? 58 : 44;
      frame.writeUInt16BE(frame.readUInt16BE(lengthAt) + 1, lengthAt);
      expectPassed(datapath.receive(frame), frame, tenant, "malformed");
    });

    it("an inner packet that reaches behind the outer one, into the padding, goes up as malformed", () => {
      const { original } = world.establish({ tenant });
      const frame = packet.padded(original.arrives({ payload: "short" }), 10);
      const lengthAt = tenant.wrap === "gretap" ? 58 : 44;
      frame.writeUInt16BE(frame.readUInt16BE(lengthAt) + 10, lengthAt);
      expectPassed(datapath.receive(frame), frame, tenant, "malformed");
    });

    it("an inner packet that claims fewer bytes than its headers have goes up as malformed", () => {
      const { original } = world.establish({ tenant });
      const frame = original.arrives();
      frame.writeUInt16BE(39, tenant.wrap === "gretap" ? 58 : 44);
      expectPassed(datapath.receive(frame), frame, tenant, "malformed");
    });

    for (const protocol of ["tcp", "udp"] as const)
      it(`an established ${protocol} packet cut at any length goes up as it arrived`, () => {
        const { original } = world.establish({ tenant, protocol });
        const whole = original.arrives({ payload: "twelve bytes" });
        const unlike: string[] = [];
        for (let length = 14; length < whole.length; length++) {
          const frame = whole.subarray(0, length);
          const { verdict, frame: after } = datapath.runOnly(frame);
          if (verdict !== "pass" || !after.equals(frame)) unlike.push(`${length} bytes: ${verdict}`);
        }
        expect(unlike, "lengths at which the packet was not passed unchanged").toEqual([]);
      });
  });

it("a declined packet leaves the flow's counts alone", () => {
  const { original } = world.establish();
  datapath.receive(original.arrives({ ttl: 1 }));
  expect(datapath.flows.get(original.key)?.packets).toBe(0);
});

it("a gretap tenant's key in a packet of plain GRE finds no flow", () => {
  const { original } = world.establish({ tenant: user1 });
  const frame = original.arrives({}, { wrap: "gre" });
  expectPassed(datapath.receive(frame), frame, user1, "no_flow");
});

it("a gre tenant's key in a packet of bridged GRE finds no flow", () => {
  const { original } = world.establish({ tenant: user2 });
  const frame = original.arrives({}, { wrap: "gretap" });
  expectPassed(datapath.receive(frame), frame, user2, "no_flow");
});

for (const [name, inner] of [
  [
    "ARP",
    packet.arp({
      operation: "request",
      senderMac: macs.innerClient,
      sender: "1.1.1.7",
      targetMac: "00:00:00:00:00:00",
      target: "1.1.1.11",
    }),
  ],
  ["IPv6", packet.ethernet({ src: macs.innerClient, dst: macs.innerGateway, type: 0x86dd }, Buffer.alloc(40, 0x60))],
  ["VLAN", packet.ethernet({ src: macs.innerClient, dst: macs.innerGateway, type: 0x8100 }, Buffer.alloc(40, 1))],
] as const)
  it(`${name} inside a gretap tunnel is the kernel's`, () => {
    const gre = packet.gre({ type: packet.etherType.bridged, key: user1.key }, inner);
    const frame = packet.ethernet(
      { src: macs.client, dst: macs.gateway },
      packet.ipv4({ src: clientEndpoint, dst: "172.168.0.1" }, gre),
    );
    expectPassed(datapath.receive(frame), frame, user1, "not_tcp_udp");
  });

it("IPv6 in plain GRE is the kernel's", () => {
  const gre = packet.gre({ type: packet.etherType.ipv6, key: user2.key }, Buffer.alloc(40, 0x60));
  const frame = packet.ethernet(
    { src: macs.client, dst: macs.gateway },
    packet.ipv4({ src: clientEndpoint, dst: "172.168.0.1" }, gre),
  );
  expectPassed(datapath.receive(frame), frame, user2, "not_tcp_udp");
});

function tunnelled(tenant: TestTenant, inner: Buffer): Buffer {
  const innerEth = { src: macs.innerClient, dst: macs.innerGateway };
  const outer = { src: clientEndpoint, dst: "172.168.0.1" };
  return packet.ethernet(
    { src: macs.client, dst: macs.gateway },
    packet.ipv4(outer, wrapped(tenant.wrap, { key: tenant.key }, innerEth, inner)),
  );
}
