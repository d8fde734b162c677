// An established flow's packet, byte for byte: as it arrives, and as it leaves by the same NIC.
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { Datapath } from "./support/datapath.js";
import { expectFrame, expectPassed, expectSent } from "./support/expectations.js";
import { checksum, padded } from "./support/packet.js";
import { type Segment, user1, user2, World } from "./support/world.js";

const datapath = new Datapath();
afterAll(() => datapath[Symbol.dispose]());
const world = new World(datapath);
beforeEach(() => world.reset());

const notEct = 0;
const ect1 = 1;
const ect0 = 2;
const ce = 3;

for (const tenant of [user1, user2])
  describe(`between two ${tenant.wrap} tunnels`, () => {
    for (const protocol of ["tcp", "udp"] as const)
      for (const direction of ["original", "reply"] as const) {
        const sent = (segment: Segment) => {
          const flow = world.establish({ tenant, protocol })[direction];
          expectSent(datapath.receive(flow.arrives(segment)), tenant, flow.leaves(segment));
        };

        it(`a ${protocol} packet of the ${direction} direction is rewritten`, () => sent({ payload: "a packet!!" }));

        it(`a ${protocol} packet of the ${direction} direction without payload is rewritten`, () =>
          sent({ payload: "" }));

        it(`a ${protocol} packet of the ${direction} direction with an odd payload is rewritten`, () =>
          sent({ payload: "odd" }));

        it(`a ${protocol} packet of the ${direction} direction as large as the MTU is rewritten`, () =>
          sent({ payload: Buffer.alloc(tenant.mtu - 20 - (protocol === "tcp" ? 20 : 8), 0xa5) }));
      }

    it("TCP options go along", () => {
      const { original } = world.establish({ tenant });
      const segment = { tcpOptions: Buffer.from("0101080a0000000100000002", "hex"), payload: "stamped" };
      expectSent(datapath.receive(original.arrives(segment)), tenant, original.leaves(segment));
    });

    it("zeros behind a short packet are cut off", () => {
      const { original } = world.establish({ tenant, protocol: "udp" });
      const segment = { payload: "x" };
      expectSent(datapath.receive(padded(original.arrives(segment), 17)), tenant, original.leaves(segment));
    });
  });

describe("from one kind of tunnel to the other", () => {
  it("a gretap packet leaves as gre: the header shrinks", () => {
    const { original } = world.establish({ tenant: user1, serverSide: user2 });
    expectSent(datapath.receive(original.arrives()), user1, original.leaves());
  });

  it("a gre packet leaves as gretap: the header grows", () => {
    const { original } = world.establish({ tenant: user2, serverSide: user1 });
    expectSent(datapath.receive(original.arrives()), user2, original.leaves());
  });
});

describe("the outer header", () => {
  it("does not depend on the one that arrived", () => {
    const { original } = world.establish();
    const arrives = original.arrives({}, { id: 0xffff, ttl: 3, tos: 0xb8, df: false });
    expectSent(datapath.receive(arrives), user1, original.leaves());
  });

  it("keeps the service class of the template, next to the inner packet's ECN", () => {
    const { original } = world.establish();
    const template = original.encap(1);
    template.header[15] = 0xb8;
    const sum = ~checksum(template.header.subarray(14, 34)) & 0xffff;
    world.follow(original, { ...template, ip_sum: ((sum & 0xff) << 8) | (sum >> 8) });
    const leaves = original.leaves({ tos: ect0 });
    leaves[15] = 0xb8 | ect0;
    leaves.writeUInt16BE(0, 24);
    leaves.writeUInt16BE(checksum(leaves.subarray(14, 34)), 24);
    expectSent(datapath.receive(original.arrives({ tos: ect0 }, { tos: ect0 })), user1, leaves);
  });
});

describe("UDP's checksum", () => {
  it("stays zero when there is none", () => {
    const { original } = world.establish({ protocol: "udp" });
    const segment = { udpChecksum: false };
    expectSent(datapath.receive(original.arrives(segment)), user1, original.leaves(segment));
  });

  it("that becomes 0 is sent as 0xffff", () => {
    const { original } = world.establish({ protocol: "udp" });
    const segment = { payload: payloadForChecksum(original.leaves.bind(original), 0xffff) };
    const outcome = datapath.receive(original.arrives(segment));
    expect(outcome.frame.readUInt16BE(56 + 20 + 6), "the checksum that was sent").toBe(0xffff);
    expectFrame(outcome.frame, original.leaves(segment));
  });

  it("that arrives as 0xffff is no special case", () => {
    const { original } = world.establish({ protocol: "udp" });
    const segment = { payload: payloadForChecksum(original.arrives.bind(original), 0xffff) };
    expectSent(datapath.receive(original.arrives(segment)), user1, original.leaves(segment));
  });
});

describe("ECN (RFC 6040)", () => {
  for (const [name, inner] of [
    ["Not-ECT", notEct],
    ["ECT(0)", ect0],
    ["ECT(1)", ect1],
    ["CE", ce],
  ] as const)
    it(`${name} inside and outside: copied to the new outer header, CE as ECT(0)`, () => {
      const { original } = world.establish();
      const outcome = datapath.receive(original.arrives({ tos: inner }, { tos: inner }));
      expectSent(outcome, user1, original.leaves({ tos: inner }));
      expect((outcome.frame[15] ?? 0) & 3, "outer ECN").toBe(inner === ce ? ect0 : inner);
    });

  for (const [name, inner] of [
    ["ECT(0)", ect0],
    ["ECT(1)", ect1],
  ] as const)
    it(`CE outside marks ${name} inside`, () => {
      const { original } = world.establish();
      const arrives = original.arrives({ tos: 0x28 | inner }, { tos: ce });
      expectSent(datapath.receive(arrives), user1, original.leaves({ tos: 0x28 | ce }));
    });

  it("Not-ECT outside leaves the inner packet's mark alone", () => {
    const { original } = world.establish();
    expectSent(datapath.receive(original.arrives({ tos: ce }, { tos: notEct })), user1, original.leaves({ tos: ce }));
  });

  it("CE outside over Not-ECT inside is the kernel's to judge", () => {
    const { original } = world.establish();
    const arrives = original.arrives({ tos: notEct }, { tos: ce });
    expectPassed(datapath.receive(arrives), arrives, user1, "ecn");
  });
});

describe("what is kept of a flow", () => {
  it("its packets and the bytes of its inner IP packets", () => {
    const { original } = world.establish();
    for (const payload of ["1", "22", "333"]) datapath.receive(original.arrives({ payload }));
    const flow = datapath.flows.get(original.key);
    expect([flow?.packets, flow?.bytes]).toEqual([3, BigInt(3 * 40 + 6)]);
  });

  it("bytes beyond 32 bits", () => {
    const { original } = world.establish();
    world.change(original, { bytes: 0x7_ffff_ffffn });
    datapath.receive(original.arrives({ payload: "1" }));
    expect(datapath.flows.get(original.key)?.bytes).toBe(0x7_ffff_ffffn + 41n);
  });

  it("a packet from another of the tenant's peers is forwarded, and that peer remembered", () => {
    const { original } = world.establish();
    const frame = original.arrives({}, { src: "172.168.0.11" });
    expectSent(datapath.receive(frame), user1, original.leaves());
    expect(datapath.flows.get(original.key)?.peer, "flow.peer").toBe(0xaca8000b);
  });
});

it("two tenants with the same tuples keep to themselves", () => {
  const first = world.establish({ tenant: user1 });
  const second = world.establish({ tenant: user2 });
  expectSent(datapath.receive(first.original.arrives()), user1, first.original.leaves());
  expectSent(datapath.receive(second.original.arrives()), user2, second.original.leaves());
});

/** Two bytes of payload that make the UDP checksum of a gretap frame this. */
function payloadForChecksum(build: (segment: Segment) => Buffer, wanted: number): Buffer {
  const checksumAt = 56 + 20 + 6;
  const seen = build({ payload: Buffer.from([0, 0]) }).readUInt16BE(checksumAt);
  // The checksum is the complement of a sum: what is added to the sum is missing from the checksum.
  const add = (seen - wanted + 0xffff) % 0xffff;
  return Buffer.from([add >> 8, add & 0xff]);
}
