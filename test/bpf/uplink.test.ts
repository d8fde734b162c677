// A public side of plain IP, and VLAN tags on either side: what XDP sends, what it leaves to the kernel, what is learned.
import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { u32 } from "../../src/datapath/layout.js";
import { Datapath, jiffies, livenessJiffies } from "./support/datapath.js";
import { expectDropped, expectFrame, expectPassed, expectSent, nobody } from "./support/expectations.js";
import { makeNamespace, track, untrack } from "./support/kernel.js";
import * as packet from "./support/packet.js";
import {
  connectionOf,
  type Direction,
  type EstablishOptions,
  macs,
  publicAddressOf,
  type Segment,
  stranger,
  type Tags,
  type TestTenant,
  testRunIfindex,
  user1,
  user2,
  World,
} from "./support/world.js";

const namespace = makeNamespace();
const netns = namespace.path;
const [uplinkDevice] = namespace.veth;

const q = (id: number, priority = 0) => 0x8100_0000 + (priority << 13) + id;
const ad = (id: number, priority = 0) => 0x88a8_0000 + (priority << 13) + id;

interface Setting {
  readonly name: string;
  readonly tags: Tags;
}

const settings: readonly Setting[] = [
  { name: "without tags", tags: { underlay: [], uplink: [] } },
  { name: "with an 802.1Q tag on the uplink", tags: { underlay: [], uplink: [q(100)] } },
  { name: "with an 802.1ad tag on the underlay", tags: { underlay: [ad(7)], uplink: [] } },
  { name: "with two tags on both sides", tags: { underlay: [ad(20), q(30)], uplink: [ad(40), q(4094)] } },
];

/** Ifindex of the tenant's VRF, by which its packets come to the stack. */
const vrfOf = ({ id }: TestTenant) => 1000 + id;

for (const { name, tags } of settings)
  describe(`an uplink and an underlay ${name}`, () => {
    let datapath: Datapath;
    let world: World;
    beforeAll(() => {
      datapath = new Datapath({
        ...(tags.underlay.length > 0 ? { underlay: { ifindex: testRunIfindex, tags: tags.underlay, others: [] } } : {}),
        uplink: { ifindex: testRunIfindex, tags: tags.uplink, mac: macs.gateway },
      });
      world = new World(datapath);
    });
    afterAll(() => datapath[Symbol.dispose]());
    beforeEach(() => {
      world.reset();
      untrack(namespace);
      for (const tenant of [user1, user2]) datapath.tunnels.set(vrfOf(tenant), tenant.id);
    });

    const establish = (options: EstablishOptions = {}) => world.establish({ plain: true, tags, ...options });

    for (const tenant of [user1, user2])
      for (const protocol of ["tcp", "udp"] as const)
        describe(`a ${protocol} connection from the uplink into a ${tenant.wrap} tunnel`, () => {
          for (const [way, name] of [
            ["original", "in"],
            ["reply", "out"],
          ] as const) {
            for (const [what, segment] of [
              ["a packet", {}],
              ["a packet with an odd payload", { payload: "odd" }],
              ["a packet without payload", { payload: "" }],
              ["a packet with an ECN mark and a service class", { tos: 0xb9 }],
              ["a packet that congestion is marked in", { tos: 0x03 }],
              ["a packet that may be fragmented", { df: false, id: 4242 }],
            ] as readonly [string, Segment][])
              it(`${what} of the way ${name} is rewritten`, () => {
                const direction = establish({ tenant, protocol })[way];
                expectSent(datapath.receive(direction.arrives(segment)), tenant, direction.leaves(segment));
              });

            it(`the way ${name} is learned, and done by XDP from then on`, () => {
              const direction = learned({ tenant, protocol }, way);
              const segment = { payload: "the next packet" };
              expectSent(datapath.receive(direction.arrives(segment), { netns }), tenant, direction.leaves(segment));
            });

            it(`the way ${name} is learned as one flow, this one`, () => {
              const direction = learned({ tenant, protocol }, way);
              const flow = datapath.flows.get(direction.key);
              const wanted = direction.flow(flow?.encap ?? -1, { checked: flow?.checked ?? -1 });
              expect(flow).toMatchObject(wanted);
              expect([...datapath.flows.keys()]).toHaveLength(1);
            });

            it(`the way ${name} asks conntrack in the tenant's zone, and lives`, () => {
              const connection = establish({ tenant, protocol });
              track(namespace, connection);
              const direction = connection[way];
              world.change(direction, { checked: (jiffies() - 2000) >>> 0 });
              expectSent(datapath.receive(direction.arrives(), { netns }), tenant, direction.leaves());
            });

            it(`the way ${name} ends both flows when conntrack has forgotten them`, () => {
              const connection = establish({ tenant, protocol });
              world.change(connection[way], { checked: (jiffies() - 2000) >>> 0 });
              const frame = connection[way].arrives();
              expectPassed(datapath.receive(frame, { netns }), frame, tenant, "ct_gone");
              expect([...datapath.flows.keys()]).toEqual([]);
            });
          }

          /** What the kernel sends, through the learner. */
          function learned(options: EstablishOptions, way: "original" | "reply"): Direction {
            const connection = connectionOf({ plain: true, tags, ...options });
            world.publish(connection);
            track(namespace, connection);
            const fromUplink = way === "original";
            const side = fromUplink ? tags.underlay : tags.uplink;
            const cameInBy = fromUplink ? 0 : vrfOf(options.tenant ?? user1);
            for (const heldTag of side.length > 0 ? [true, false] : [false])
              datapath.transmit(connection[way].leaves(), netns, testRunIfindex, { fromUplink, heldTag, cameInBy });
            expect(datapath.encapsInUse(), "templates; a tag in metadata makes no other").toHaveLength(1);
            return connection[way];
          }
        });

    /** What the stack sends by the uplink of a tenant's packet that came in by a device, admitted by a rule; how often. */
    function leave(options: EstablishOptions, cameInBy: number, rule: number): number {
      const connection = connectionOf({ plain: true, tags, protocol: "udp", ...options });
      world.publish(connection);
      track(namespace, connection);
      const frame = connection.reply.leaves({ payload: "ten bytes!" });
      const how = tags.uplink.length > 0 ? [true, false] : [false];
      for (const heldTag of how)
        datapath.transmit(frame, netns, testRunIfindex, { heldTag, mark: 0x4000_0000 + rule, cameInBy });
      return how.length;
    }

    it("what leaves by the uplink is counted as its tenant's, in bytes of IP", () => {
      const times = leave({ tenant: user2 }, vrfOf(user2), 7);
      expect(datapath.forwarded(user2.id)[7]).toEqual({ stack: { packets: times, bytes: 38 * times } });
    });

    it("what leaves with another tenant's address is counted as its sender's, and teaches nothing", () => {
      const times = leave({ tenant: user2 }, vrfOf(user1), 8);
      expect([datapath.forwarded(user2.id)[8], datapath.forwarded(user1.id)[8]]).toEqual([
        undefined,
        { stack: { packets: times, bytes: 38 * times } },
      ]);
      expect([...datapath.flows.keys()]).toEqual([]);
    });

    it("what leaves with a tenant's address and came from nobody's device is nobody's", () => {
      leave({ tenant: user2 }, 4711, 9);
      expect(datapath.forwarded(user2.id)[9]).toBeUndefined();
    });

    it("equal packets for two tenants' public addresses go to each its own", () => {
      for (const tenant of [user1, user2]) {
        const { original } = establish({ tenant });
        expectSent(datapath.receive(original.arrives()), tenant, original.leaves());
      }
    });

    it("a client in a tunnel reaches the same public address by a flow of its own", () => {
      const plain = establish();
      const inTunnel = world.establish({ tags, publicEnd: { address: publicAddressOf(user1), port: 22 } });
      for (const { original } of [plain, inTunnel])
        expectSent(datapath.receive(original.arrives()), user1, original.leaves());
      const { reply } = inTunnel;
      expect(datapath.flows.get(reply.key)?.daddr, "the reply of the last to be learned").toBeDefined();
    });

    it("zeros behind a short packet are cut off", () => {
      const { original } = establish({ protocol: "udp" });
      const segment = { payload: "x" };
      expectSent(datapath.receive(packet.padded(original.arrives(segment), 17)), user1, original.leaves(segment));
    });

    it("a packet as large as the tunnel takes is rewritten, a larger one is the kernel's", () => {
      const { original } = establish();
      const segment = { payload: Buffer.alloc(user1.mtu - 40, 7) };
      expectSent(datapath.receive(original.arrives(segment)), user1, original.leaves(segment));
      const larger = original.arrives({ payload: Buffer.alloc(user1.mtu - 39, 7) });
      expectPassed(datapath.receive(larger), larger, user1, "mtu");
    });

    for (const [what, reason, segment] of [
      ["a packet that expires here", "ttl", { ttl: 1 }],
      ["SYN", "tcp_control", { tcpFlags: ["syn"] }],
      ["a fragment", "fragment", { df: false, more: true }],
      ["a packet with IP options", "ip_options", { options: Buffer.from([0x94, 4, 0, 0]) }],
    ] as readonly [string, string, Segment][])
      it(`${what} from the uplink is the kernel's`, () => {
        const { original } = establish();
        const frame = original.arrives(segment);
        expectPassed(datapath.receive(frame), frame, user1, reason);
      });

    for (const [way, flag] of [
      ["original", "fin"],
      ["reply", "fin"],
      ["original", "rst"],
      ["reply", "rst"],
    ] as const)
      it(`${flag.toUpperCase()} of the ${way} direction makes both flows ask conntrack`, () => {
        const connection = establish();
        datapath.receive(connection[way].arrives({ tcpFlags: [flag, "ack"] }));
        for (const direction of [connection.original, connection.reply]) {
          const age = (jiffies() - (datapath.flows.get(direction.key)?.checked ?? 0)) >>> 0;
          expect(age, "jiffies since the flow has asked").toBeGreaterThanOrEqual(livenessJiffies);
        }
      });

    it("ICMP to a public address is the kernel's, counted as the tenant's", () => {
      establish();
      const frame = plainFrame(packet.icmp(), publicAddressOf(user1));
      expectPassed(datapath.receive(frame), frame, user1, "not_tcp_udp");
    });

    it("a packet to a public address without a flow is the kernel's, counted as the tenant's", () => {
      const connection = connectionOf({ plain: true, tags, tenant: user2 });
      world.publish(connection);
      const frame = connection.original.arrives();
      expectPassed(datapath.receive(frame), frame, user2, "no_flow");
    });

    it("a packet to any other address is the gateway's own", () => {
      const frame = plainFrame(packet.tcp({ sport: 1, dport: 22 }), "203.0.113.254");
      expectPassed(datapath.receive(frame), frame, nobody, "host");
    });

    it("a packet cut at any length goes up as it arrived", () => {
      const { original } = establish();
      const whole = original.arrives({ payload: "twelve bytes" });
      const unlike: string[] = [];
      for (let length = 14; length < whole.length; length++) {
        const frame = whole.subarray(0, length);
        const { verdict, frame: after } = datapath.runOnly(frame);
        if (verdict !== "pass" || !after.equals(frame)) unlike.push(`${length} bytes: ${verdict}`);
      }
      expect(unlike, "lengths at which the packet was not passed unchanged").toEqual([]);
    });

    for (const [what, change] of [
      ["another MAC address", { dstMac: macs.client }],
      ["a tag more", { tags: [...tags.uplink, q(1)] }],
      ["a tag more in front", { tags: [q(1), ...tags.uplink] }],
      ...(tags.uplink.length > 0
        ? ([
            ["no tag", { tags: [] }],
            ["another VLAN id", { tags: tags.uplink.map((tag) => tag + 1) }],
            ["another type of tag", { tags: tags.uplink.map((tag) => (tag & 0xffff) + 0x9100_0000) }],
          ] as const)
        : []),
    ] as const)
      it(`a plain packet with ${what} is not the uplink's`, () => {
        const { original } = establish();
        const frame = original.arrives({}, change);
        expectPassed(datapath.receive(frame), frame, nobody, "host");
      });

    it("a tunnelled packet to the uplink that is for another MAC address: the kernel's", () => {
      const { reply } = establish();
      const frame = reply.arrives({}, { dstMac: macs.client });
      expectPassed(datapath.receive(frame), frame, user1, "other_host");
    });

    it("a tunnelled packet to the uplink, as long as the NIC's MAC address is not known: the kernel's", () => {
      const { reply } = establish();
      datapath.nicMacs.set(u32(testRunIfindex), Buffer.alloc(8));
      const frame = reply.arrives();
      expectPassed(datapath.receive(frame), frame, user1, "other_host");
    });

    it("a tunnelled packet to the uplink, where its NIC's place has another NIC of the same address: the kernel's", () => {
      const { reply } = establish();
      datapath.takeFrames(testRunIfindex, macs.gateway, testRunIfindex + 4096);
      const frame = reply.arrives();
      expectPassed(datapath.receive(frame), frame, user1, "other_host");
    });

    for (const change of tags.underlay.length > 0
      ? [{ tags: [] }, { tags: tags.underlay.map((tag) => tag + 1) }, { tags: [...tags.underlay, q(1)] }]
      : [{ tags: [q(1)] }, { tags: [ad(1), q(1)] }])
      it(`GRE with ${change.tags.length} tags that are not the underlay's is not a tenant's`, () => {
        const { reply } = establish();
        const frame = reply.arrives({}, change);
        expectPassed(datapath.receive(frame), frame, nobody, "host");
      });

    it("priorities in the tags make no difference", () => {
      const { original, reply } = establish();
      const with5 = (side: readonly number[]) => side.map((tag) => tag + 0xa000);
      const into = original.arrives({}, { tags: with5(tags.uplink) });
      expectSent(datapath.receive(into), user1, original.leaves());
      const out = reply.arrives({}, { tags: with5(tags.underlay) });
      expectSent(datapath.receive(out), user1, reply.leaves());
    });

    it("a stranger in the tunnel is dropped, tags or not", () => {
      const { reply } = establish();
      expectDropped(datapath.receive(reply.arrives({}, { src: stranger })), user1, "stranger");
    });

    it("a template of other tags than now is not used", () => {
      const { original } = establish();
      const id = datapath.flows.get(original.key)?.encap ?? 0;
      const encap = datapath.encaps.get(id);
      if (encap) datapath.encaps.set(id, { ...encap, length: encap.length ^ 4 });
      const frame = original.arrives();
      expectPassed(datapath.receive(frame), frame, user1, "template");
    });

    describe("nothing is learned from", () => {
      const departs = (connection = connectionOf({ plain: true, tags })) => {
        world.publish(connection);
        track(namespace, connection);
        return connection;
      };

      for (const [what, send] of [
        [
          "a plain packet of no public address",
          () => {
            const connection = connectionOf({ plain: true, tags });
            track(namespace, connection);
            datapath.transmit(connection.reply.leaves(), netns, testRunIfindex);
          },
        ],
        [
          "GRE that a tenant made itself, whatever is in it",
          () => datapath.transmit(departs().original.leaves(), netns, testRunIfindex, { cameInBy: uplinkDevice }),
        ],
        ["a plain packet by another NIC", () => datapath.transmit(departs().reply.leaves(), netns, namespace.veth[1])],
        [
          "a plain packet with another tag",
          () => {
            const other = { ...tags, uplink: [...tags.uplink, q(9)] };
            datapath.transmit(
              departs(connectionOf({ plain: true, tags: other })).reply.leaves(),
              netns,
              testRunIfindex,
            );
          },
        ],
        [
          "a tunnelled packet with another tag",
          () => {
            const other = { ...tags, underlay: [...tags.underlay, q(9)] };
            const { original } = departs(connectionOf({ plain: true, tags: other }));
            datapath.transmit(original.leaves(), netns, testRunIfindex, { fromUplink: true });
          },
        ],
        [
          "a tunnelled packet with another tag in metadata",
          () => {
            const other = { ...tags, underlay: [q(9), ...tags.underlay] };
            const { original } = departs(connectionOf({ plain: true, tags: other }));
            datapath.transmit(original.leaves(), netns, testRunIfindex, { fromUplink: true, heldTag: true });
          },
        ],
      ] as const)
        it(what, () => {
          send();
          expect([[...datapath.flows.keys()], datapath.encapsInUse()]).toEqual([[], []]);
        });
    });

    function plainFrame(transport: packet.Transport, dst: string): Buffer {
      return packet.ethernet(
        { src: macs.client, dst: macs.gateway, tags: tags.uplink },
        packet.ipv4({ src: "1.1.1.7", dst }, transport),
      );
    }
  });

describe("an uplink NIC beside the underlay's", () => {
  const datapath = new Datapath({ uplink: { ifindex: uplinkDevice, tags: [], mac: macs.gateway } });
  const world = new World(datapath);
  afterAll(() => datapath[Symbol.dispose]());
  beforeEach(() => world.reset());

  it("a plain packet that comes in by another NIC is the gateway's own", () => {
    const { original } = world.establish({ plain: true });
    const frame = original.arrives();
    expectPassed(datapath.receive(frame), frame, nobody, "host");
  });
});

describe("the uplink's program", () => {
  const datapath = new Datapath({ uplink: { ifindex: uplinkDevice, tags: [], mac: macs.gateway } });
  const world = new World(datapath);
  afterAll(() => datapath[Symbol.dispose]());
  beforeAll(() => void execFileSync("ip", ["-n", namespace.name, "link", "set", "v0", "address", macs.gateway]));
  beforeEach(() => world.reset());

  const toTenant = (frame: Buffer) => datapath.comeIn(frame, netns, uplinkDevice);

  it("hands a packet for a public address to the tenant's tunnel, by the tunnel's MAC address", () => {
    const connection = connectionOf({ plain: true, tenant: { ...user1, key: 0x12345678 } });
    world.publish(connection);
    const frame = connection.original.arrives();
    const { verdict, frame: after } = toTenant(frame);
    expect(verdict).toBe("redirect");
    expectFrame(after, connection.original.arrives({}, { dstMac: "02:67:12:34:56:78" }));
  });

  it.each(["10.0.0.9", "172.31.0.9", "192.168.1.9", "100.64.0.9"])(
    "drops a packet from %s, a private address in the tenant's tunnel, and counts it as the tenant's",
    (address) => {
      const connection = connectionOf({ plain: true, client: { address, port: 5353 } });
      world.publish(connection);
      const { id } = connection.original.fields.arrivesBy.tenant;
      world.addRoute(id, address, 32, "172.168.0.11");
      const before = datapath.packetsOf(id, "spoofed");
      expect(toTenant(connection.original.arrives()).verdict).toBe("drop");
      expect(datapath.packetsOf(id, "spoofed") - before).toBe(1);
    },
  );

  it.each([
    ["a private address that is not in the tenant's tunnel", "10.0.0.9", "10.0.1.9"],
    ["a public one that is", "9.9.9.9", "9.9.9.9"],
  ])("takes a packet from %s", (_what, address, routed) => {
    const tenant = { ...user1, id: 9, key: 9000, zone: 9 }; // has no other routes
    const connection = connectionOf({ plain: true, tenant, client: { address, port: 5353 } });
    world.publish(connection);
    world.addRoute(tenant.id, routed, 32, "172.168.0.11");
    expect(toTenant(connection.original.arrives()).verdict).toBe("redirect");
  });

  for (const [what, made] of [
    ["a packet for another address", () => connectionOf({ plain: true }).original.arrives()],
    [
      "a packet for a public address whose tunnel is not there",
      () => {
        const connection = connectionOf({ plain: true });
        world.publish(connection, 0);
        return connection.original.arrives();
      },
    ],
    [
      "a packet for another MAC address",
      () => {
        const connection = connectionOf({ plain: true });
        world.publish(connection);
        return connection.original.arrives({}, { dstMac: macs.client });
      },
    ],
    [
      "ARP",
      () =>
        packet.arp({
          operation: "reply",
          senderMac: macs.client,
          sender: "203.0.113.1",
          targetMac: macs.gateway,
          target: "203.0.113.254",
        }),
    ],
  ] as const)
    it(`leaves ${what} alone`, () => {
      const frame = made();
      const { verdict, frame: after } = toTenant(frame);
      expect(verdict).toBe("next");
      expectFrame(after, frame);
    });
});
