// What XDP may drop, and what is none of its business.
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { reasons } from "../../src/datapath/reasons.js";
import { Datapath } from "./support/datapath.js";
import { expectDropped, expectPassed, expectSent, nobody } from "./support/expectations.js";
import * as packet from "./support/packet.js";
import { addressNumber } from "./support/types.js";
import {
  clientEndpoint,
  connectionOf,
  macs,
  type Outer,
  stranger,
  testRunIfindex,
  user1,
  user2,
  World,
  wrapped,
} from "./support/world.js";

const datapath = new Datapath();
afterAll(() => datapath[Symbol.dispose]());
const world = new World(datapath);
beforeEach(() => world.reset());

const eth = { src: macs.client, dst: macs.gateway };
const toUs = { src: clientEndpoint, dst: "172.168.0.1" };
const someTcp = packet.tcp({ sport: 1, dport: 2, payload: "some data" });
const dropEvent = 3;
const unknownKeyReason = reasons.findIndex(({ name }) => name === "unknown_key");

describe("a key that no tenant has", () => {
  for (const tenant of [user1, user2])
    it(`is dropped in ${tenant.wrap}`, () => {
      const frame = connectionOf({ tenant }).original.arrives({}, { key: 3000 });
      expectDropped(datapath.receive(frame), nobody, "unknown_key");
    });

  it("is dropped whatever is inside", () => {
    const inner = packet.ipv4({ src: "1.1.1.7", dst: "2.2.2.11" }, packet.icmp());
    const gre = wrapped("gre", { key: 3000 }, eth, inner);
    expectDropped(datapath.receive(packet.ethernet(eth, packet.ipv4(toUs, gre))), nobody, "unknown_key");
  });

  for (const key of [0, 0xffff_ffff])
    it(`is dropped when it is ${key}`, () => {
      const frame = connectionOf({}).original.arrives({}, { key });
      expectDropped(datapath.receive(frame), nobody, "unknown_key");
    });

  it("is told as an event with the key and the outer source", () => {
    datapath.receive(connectionOf({}).original.arrives({}, { key: 3000 }));
    const [event] = datapath.events();
    expect([event?.kind, event?.reason, event?.key.realm, event?.peer]).toEqual([
      dropEvent,
      unknownKeyReason,
      3000,
      addressNumber(clientEndpoint),
    ]);
  });
});

describe("keys at the ends of their range", () => {
  for (const key of [0, 0xffff_ffff])
    it(`${key} is a tenant's like any other`, () => {
      const tenant = { ...user1, id: 3, key, zone: 13 };
      world.addTenant(tenant);
      const frame = connectionOf({ tenant }).original.arrives();
      expectPassed(datapath.receive(frame), frame, tenant, "no_flow");
    });
});

describe("a stranger", () => {
  it("is dropped on the tuple of an established flow", () => {
    const { original } = world.establish();
    expectDropped(datapath.receive(original.arrives({}, { src: stranger })), user1, "stranger");
  });

  it("is dropped when it is a peer of another tenant only", () => {
    const { original } = world.establish();
    expectDropped(datapath.receive(original.arrives({}, { src: "172.168.0.12" })), user1, "stranger");
  });

  it("on a flow, sent to another MAC address than the NIC's: none of the tenant's packets", () => {
    const { original } = world.establish({ ifindex: testRunIfindex });
    const frame = original.arrives({}, { src: stranger, dstMac: macs.client });
    expectDropped(datapath.receive(frame), user1, "stranger");
  });

  it("does not become a peer by having tried", () => {
    const { original } = world.establish();
    datapath.receive(original.arrives({}, { src: stranger }));
    expectDropped(datapath.receive(original.arrives({}, { src: stranger })), user1, "stranger");
  });

  it("is counted in bytes of the frame", () => {
    const frame = connectionOf({}).original.arrives({}, { src: stranger });
    const before = datapath.bytesOf(user1.id, "stranger");
    datapath.receive(frame);
    expect(datapath.bytesOf(user1.id, "stranger") - before).toBe(frame.length);
  });
});

describe("the host's own traffic", () => {
  const inner = packet.ipv4({ src: "1.1.1.7", dst: "2.2.2.11" }, someTcp);
  const host: readonly (readonly [string, Buffer])[] = [
    ["plain TCP to the gateway", packet.ethernet(eth, packet.ipv4(toUs, someTcp))],
    ["plain UDP to another host", packet.ethernet(eth, packet.ipv4({ ...toUs, dst: "192.0.2.1" }, someTcp))],
    [
      "GRE with an unknown key to another address",
      packet.ethernet(eth, packet.ipv4({ ...toUs, dst: "172.168.0.2" }, wrapped("gre", { key: 3000 }, eth, inner))),
    ],
    ["GRE without a key", packet.ethernet(eth, packet.ipv4(toUs, wrapped("gre", {}, eth, inner)))],
    [
      "GRE without a key, with a sequence",
      packet.ethernet(eth, packet.ipv4(toUs, wrapped("gre", { sequence: 1 }, eth, inner))),
    ],
    ["GRE of version 1 (PPTP), whose key is no key", pptp()],
    [
      "a later fragment of a GRE packet",
      packet.ethernet(
        eth,
        packet.ipv4({ ...toUs, df: false, offset: 1480 }, wrapped("gre", { key: 3000 }, eth, inner)),
      ),
    ],
    [
      "a tenant's packet behind a VLAN tag",
      packet.ethernet(
        { ...eth, type: packet.etherType.vlan },
        Buffer.concat([Buffer.from([0, 5, 8, 0]), packet.ipv4(toUs, wrapped("gre", { key: user2.key }, eth, inner))]),
      ),
    ],
    ["IPv6", packet.ethernet({ ...eth, type: packet.etherType.ipv6 }, Buffer.alloc(80, 0x60))],
    [
      "ARP",
      packet.arp({
        operation: "request",
        senderMac: macs.client,
        sender: clientEndpoint,
        targetMac: "00:00:00:00:00:00",
        target: "172.168.0.1",
      }),
    ],
    ["the shortest frame that there is", packet.ethernet(eth, Buffer.alloc(0))],
  ];
  for (const [name, frame] of host)
    it(`${name} goes up as it arrived`, () => {
      world.establish({ tenant: user2 });
      expectPassed(datapath.receive(frame), frame, nobody, "host");
    });
});

/** RFC 2637: the flags have the key bit and version 1, and the "key" is a length and a call id. */
function pptp(): Buffer {
  const gre = Buffer.concat([Buffer.from("3001880b00040001", "hex"), Buffer.alloc(40, 1)]);
  return packet.ethernet(eth, packet.ipv4(toUs, packet.raw(packet.ipProtocol.gre, gre)));
}

describe("a refusal is remembered", () => {
  const frameOf = (outer: Outer) => connectionOf({}).original.arrives({}, outer);

  it("and counts for every packet", () => {
    const frame = frameOf({ src: stranger });
    expect([1, 2, 3].map(() => datapath.receive(frame).summary)).toEqual(
      Array(3).fill(`drop, tenant ${user1.id}: stranger`),
    );
  });

  it("of a stranger, until its tenant's generation moves on", () => {
    datapath.receive(frameOf({ src: stranger }));
    datapath.peers.set({ tenant: user1.id, address: addressNumber(stranger) }, 1);
    datapath.generations.set(user1.id, 2);
    const frame = frameOf({ src: stranger });
    expectPassed(datapath.receive(frame), frame, user1, "no_flow");
  });

  it("of an unknown key, until the generation of nobody moves on", () => {
    const tenant = { ...user1, id: 3, key: 3000 };
    datapath.receive(frameOf({ key: tenant.key }));
    datapath.tenants.set(tenant.key, { id: tenant.id, zone: 13, wrap: 0, mtu: 1458 });
    datapath.peers.set({ tenant: tenant.id, address: addressNumber(clientEndpoint) }, 1);
    datapath.generations.set(0, 2);
    const frame = frameOf({ key: tenant.key });
    expectPassed(datapath.receive(frame), frame, tenant, "no_flow");
    datapath.generations.set(0, 0);
  });

  it("but not while the tenant is being changed: a peer that was added is let in at once", () => {
    datapath.generations.set(user1.id, 1);
    datapath.receive(frameOf({ src: stranger }));
    datapath.peers.set({ tenant: user1.id, address: addressNumber(stranger) }, 1);
    const frame = frameOf({ src: stranger });
    expectPassed(datapath.receive(frame), frame, user1, "no_flow");
  });

  it("of one sender only: the next one with the same key is looked up", () => {
    datapath.receive(frameOf({ src: stranger }));
    const frame = frameOf({});
    expectPassed(datapath.receive(frame), frame, user1, "no_flow");
  });

  it("of thousands, and of nobody else: a flow is followed, and each of them is refused as before", () => {
    const strangers = Array.from({ length: 1000 }, (_, n) => ({
      src: `203.${n >> 8}.${n & 255}.1`,
      key: user1.key + (n % 2) * 5000,
    }));
    const summaries = () => strangers.map((outer) => datapath.receive(frameOf(outer)).summary);
    const wanted = strangers.map(({ key }) =>
      key === user1.key ? `drop, tenant ${user1.id}: stranger` : "drop, tenant 0: unknown_key",
    );
    expect(summaries()).toEqual(wanted);
    const { original } = world.establish();
    const outcome = datapath.receive(original.arrives());
    expectSent(outcome, user1, original.leaves());
    expect(summaries()).toEqual(wanted);
  });

  it("and is a stranger's when the key has come to be a tenant's", () => {
    datapath.receive(frameOf({ src: stranger, key: 3000 }));
    datapath.tenants.set(3000, { id: 3, zone: 13, wrap: 0, mtu: 1458 });
    datapath.generations.set(0, 4);
    expectDropped(datapath.receive(frameOf({ src: stranger, key: 3000 })), { id: 3 }, "stranger");
    datapath.generations.set(0, 0);
  });
});
