// The learner: a packet that the kernel sends becomes a flow, when it is an established connection's and nothing is odd.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { u32 } from "../../src/datapath/layout.js";
import { packetMarks } from "../../src/plan/rules.js";
import { Datapath, type Departure } from "./support/datapath.js";
import { expectDropped, expectSent } from "./support/expectations.js";
import { type EntryOptions, entryOf, makeNamespace, track, trackFromServer, untrack } from "./support/kernel.js";
import * as packet from "./support/packet.js";
import { addressNumber } from "./support/types.js";
import {
  arrivalsOf,
  connectionOf,
  Direction,
  type EstablishOptions,
  macs,
  stranger,
  type TestConnection,
  testRunIfindex,
  tupleOf,
  user1,
  user2,
  World,
  wrapped,
} from "./support/world.js";

const datapath = new Datapath();
afterAll(() => datapath[Symbol.dispose]());
const world = new World(datapath);
const namespace = makeNamespace();
const netns = namespace.path;
beforeEach(() => {
  world.reset();
  untrack(namespace);
});

/** What the kernel sends: an outer header with an id of its own, which is not part of a template. */
function sent(direction: Direction, segment = {}): Buffer {
  const frame = direction.leaves(segment);
  frame.writeUInt16BE(0x1234, 18);
  return rechecked(frame);
}

/** With the outer header's checksum made right again. */
function rechecked(frame: Buffer): Buffer {
  frame.writeUInt16BE(0, 24);
  frame.writeUInt16BE(packet.checksum(frame.subarray(14, 34)), 24);
  return frame;
}

const transmit = (frame: Buffer, how: Departure = {}) => datapath.transmit(frame, netns, testRunIfindex, how);

function tracked(options: EstablishOptions = {}, entry: EntryOptions = {}): TestConnection {
  const connection = connectionOf(options);
  track(namespace, connection, entry);
  return connection;
}

/** What the maps have learned, as counts. */
const learned = () => ({
  flows: [...datapath.flows.keys()].length,
  templates: datapath.encapsInUse().length,
  connections: [...datapath.connections.keys()].length,
});
const nothing = { flows: 0, templates: 0, connections: 0 };

for (const tenant of [user1, user2])
  for (const protocol of ["tcp", "udp"] as const)
    describe(`an established ${protocol} connection in ${tenant.wrap}`, () => {
      for (const name of ["original", "reply"] as const)
        describe(`its ${name} direction`, () => {
          it("becomes this flow", () => {
            datapath.generations.set(tenant.id, 5);
            const direction = tracked({ tenant, protocol })[name];
            transmit(sent(direction), { generation: 5 });
            const flow = datapath.flows.get(direction.key);
            const { checked, encap } = flow ?? {};
            const wanted = direction.flow(encap ?? -1, { generation: 5, checked: checked ?? -1 });
            expect(flow).toMatchObject(wanted);
          });

          it("becomes this template", () => {
            const direction = tracked({ tenant, protocol })[name];
            transmit(sent(direction));
            const [id = -1] = datapath.encapsInUse();
            const { header, ...fields } = datapath.encaps.get(id) ?? direction.encap(0);
            const { header: wantedHeader, ...wanted } = direction.encap(testRunIfindex);
            expect({ ...fields, header: header.toString("hex") }).toMatchObject({
              ...wanted,
              header: wantedHeader.toString("hex"),
            });
          });

          it("is recorded under the connection's original tuple", () => {
            const connection = tracked({ tenant, protocol }, { mark: 7 });
            transmit(sent(connection[name]));
            const dstNat = 0x20;
            expect(datapath.connections.get(connection.record)).toMatchObject({
              reply: tupleOf(protocol, connection.reply.fields.arrivesAs),
              tenant: tenant.id,
              rule: 7,
              translation: dstNat,
              ...arrivalsOf(connection),
            });
          });

          it("is only for its tenant's peers from the first packet on: one without an outer source is dropped", () => {
            const direction = tracked({ tenant, protocol })[name];
            transmit(sent(direction));
            const frame = direction.arrives({}, { src: "0.0.0.0" });
            expectDropped(datapath.receive(frame, { netns }), tenant, "stranger");
          });

          it("is done by XDP from then on, byte for byte", () => {
            const direction = tracked({ tenant, protocol })[name];
            transmit(sent(direction));
            const segment = { payload: "the next packet" };
            expectSent(datapath.receive(direction.arrives(segment), { netns }), tenant, direction.leaves(segment));
          });
        });

      it("both directions: two flows, a template for each endpoint, one connection", () => {
        const { original, reply } = tracked({ tenant, protocol });
        transmit(sent(original));
        transmit(sent(reply));
        expect(learned()).toEqual({ flows: 2, templates: 2, connections: 1 });
      });
    });

describe("a template", () => {
  it("is shared by connections that leave in the same way", () => {
    for (const port of [1, 2, 3]) transmit(sent(tracked({ client: { address: "1.1.1.7", port } }).original));
    expect(learned()).toEqual({ flows: 3, templates: 1, connections: 3 });
  });

  it("is another one for another device", () => {
    const { original } = tracked();
    transmit(sent(original));
    datapath.transmit(sent(original), netns, namespace.veth[0]);
    expect(learned()).toEqual({ flows: 1, templates: 2, connections: 1 });
  });

  it("tells the MAC address that its NIC takes frames by, also a new one", () => {
    const { original } = tracked();
    for (const mac of [macs.gateway, "02:00:00:00:aa:bb"]) {
      const frame = sent(original);
      Buffer.from(mac.replaceAll(":", ""), "hex").copy(frame, 6);
      transmit(frame);
      expect(datapath.nicMacs.get(u32(testRunIfindex))?.toString("hex")).toBe(`${mac.replaceAll(":", "")}0001`);
    }
  });

  it("does not take over the ECN mark of the packet that it is learned from", () => {
    const { original } = tracked();
    transmit(sent(original, { tos: 2 }));
    const segment = { tos: 0 };
    expectSent(datapath.receive(original.arrives(segment), { netns }), user1, original.leaves(segment));
  });

  it("finds a place of its own when another with the same hash has the first", () => {
    const { original } = tracked();
    transmit(sent(original));
    const [id = -1] = datapath.encapsInUse();
    const mine = datapath.encaps.get(id);
    if (mine) datapath.encaps.set(id, { ...mine, ifindex: 4242 });
    transmit(sent(original));
    const [other = -1, ...more] = datapath.encapsInUse().filter((one) => one !== id);
    expect(more).toEqual([]);
    expect({ ...datapath.encaps.get(other), asked: mine?.asked }).toEqual(mine);
    expect(datapath.encaps.get(id)?.ifindex).toBe(4242);
  });
});

describe("a flow that is known", () => {
  it("keeps its counts when the kernel sends another of its packets", () => {
    const { original } = tracked();
    transmit(sent(original));
    world.change(original, { packets: 41 });
    transmit(sent(original));
    expect(datapath.flows.get(original.key)?.packets).toBe(41);
  });

  it("is learned anew after its tenant has changed", () => {
    const { original } = tracked();
    transmit(sent(original));
    datapath.generations.set(user1.id, 2);
    transmit(sent(original), { generation: 2 });
    expectSent(datapath.receive(original.arrives(), { netns }), user1, original.leaves());
  });

  it("is learned anew when the kernel sends it another way", () => {
    const { original } = tracked();
    transmit(sent(original));
    const moved = new Direction({
      ...original.fields,
      leavesBy: { ...original.fields.leavesBy, endpoint: "172.168.0.7" },
    });
    transmit(sent(moved));
    expectSent(datapath.receive(original.arrives(), { netns }), user1, moved.leaves());
  });

  it.each([
    ["with an outer source that is not the gateway's", 26, "172.168.0.2"],
    ["to an endpoint that is not the tenant's", 30, stranger],
  ])("is not taught by GRE of somebody else that the machine forwards: %s", (_what, at, address) => {
    const { original } = tracked();
    const frame = sent(original);
    Buffer.from(address.split(".").map(Number)).copy(frame, at);
    frame.writeUInt16BE(0, 24);
    frame.writeUInt16BE(packet.checksum(frame.subarray(14, 34)), 24);
    transmit(frame);
    expect([...datapath.flows.keys()]).toEqual([]);
  });

  it("was told as an event when it was born, once", () => {
    const { original } = tracked();
    transmit(sent(original));
    transmit(sent(original));
    const flowBorn = 1;
    expect(datapath.events().map(({ kind, tenant, peer }) => [kind, tenant, peer])).toEqual([
      [flowBorn, user1.id, addressNumber("172.168.0.11")],
    ]);
  });
});

describe("a TCP connection that conntrack has seen close", () => {
  /** Both flows learned, and the kernel's entry in another state by now. */
  function closing(state: string): TestConnection {
    const connection = tracked();
    for (const direction of [connection.original, connection.reply]) transmit(sent(direction));
    expect([...datapath.flows.keys()]).toHaveLength(2);
    datapath.events();
    untrack(namespace);
    track(namespace, connection, { state });
    return connection;
  }

  for (const state of ["FIN_WAIT", "CLOSE"])
    for (const way of ["original", "reply"] as const)
      it(`ends both flows with the packet of its ${way} direction that the kernel sends in ${state}`, () => {
        transmit(sent(closing(state)[way]));
        expect([...datapath.flows.keys()]).toEqual([]);
      });

  it("is told as the two deaths of its flows", () => {
    const { original } = closing("FIN_WAIT");
    transmit(sent(original));
    const [flowDied, tcpControl] = [2, 9];
    expect(datapath.events().map(({ kind, reason, tenant }) => [kind, reason, tenant])).toEqual([
      [flowDied, tcpControl, user1.id],
      [flowDied, tcpControl, user1.id],
    ]);
  });

  it("leaves the other tenant's equal connection alone", () => {
    const other = tracked({ tenant: user2 });
    transmit(sent(other.original));
    const own = tracked({}, { state: "FIN_WAIT" });
    transmit(sent(own.original));
    expect(world.isFollowed(other.original)).toBe(true);
  });
});

it("a connection that the other side has begun takes the flow of an equal one before it", () => {
  const connection = tracked();
  transmit(sent(connection.original));
  untrack(namespace);
  trackFromServer(namespace, connection);
  transmit(sent(connection.original));
  const isReply = 1;
  expect(datapath.flows.get(connection.original.key)?.flags).toBe(isReply);
});

it("a UDP connection's flow makes it ASSURED when the kernel would: with a packet 2 s after its first", async () => {
  await usingDatagrams(async (ends) => {
    const { original } = connectionOf({ protocol: "udp", ...ends });
    transmit(sent(original));
    const isAssured = () => {
      expectSent(datapath.receive(original.arrives(), { netns }), user1, original.leaves());
      return entryOf(namespace, "udp", user1.zone).includes("[ASSURED]");
    };
    const young = isAssured();
    await sleep(2200);
    expect([young, isAssured()]).toEqual([false, true]);
  });
});

describe("what a tenant may cause of events", () => {
  const births = (count: number) => {
    for (let port = 1; port <= count; port++)
      transmit(sent(tracked({ client: { address: "1.1.1.7", port } }).original));
    return datapath.events().length;
  };

  it("is its share a second; what is more is lost, and counted", () => {
    datapath.limits.set(0, { events_per_second: 1 });
    const started = performance.now();
    const told = births(20);
    const seconds = Math.ceil((performance.now() - started) / 1000) + 1;
    expect(told).toBeGreaterThan(0);
    expect(told).toBeLessThanOrEqual(seconds);
    expect(datapath.losses.get(user1.id)?.events_lost).toBe(BigInt(20 - told));
  });

  it("is everything where there are no shares", () => {
    expect(births(20)).toBe(20);
  });
});

it("equal tuples of two tenants become two flows", () => {
  const first = tracked({ tenant: user1 });
  const second = tracked({ tenant: user2 });
  transmit(sent(first.original));
  transmit(sent(second.original));
  expect([world.isFollowed(first.original), world.isFollowed(second.original)]).toEqual([true, true]);
});

it("a large packet that GSO has yet to cut is learned from like any other", () => {
  const { original } = tracked();
  transmit(sent(original, { payload: Buffer.alloc(3000, 1) }));
  expectSent(datapath.receive(original.arrives(), { netns }), user1, original.leaves());
});

describe("nothing is learned from", () => {
  const cases: readonly (readonly [string, () => void])[] = [
    [
      "a packet that the gateway made itself",
      () => datapath.transmit(sent(tracked({}).original), netns, testRunIfindex, { mark: packetMarks.own }),
    ],
    [
      "a packet whose sender is behind no endpoint that the config knows",
      () => {
        for (const key of [...datapath.endpoints.keys()]) datapath.endpoints.delete(key);
        transmit(sent(tracked({}).original));
      },
    ],
    [
      "a packet that came in before its tenant changed, however long ago",
      () => {
        datapath.generations.set(user1.id, 2);
        transmit(sent(tracked({}).original), { generation: 0 });
      },
    ],
    [
      "a packet that came in while its tenant was being changed",
      () => {
        datapath.generations.set(user1.id, 2);
        transmit(sent(tracked({}).original), { generation: 1 });
      },
    ],
    [
      "a packet of which nobody knows when it came in",
      () => transmit(sent(tracked({}).original), { generation: "unknown" }),
    ],
    ["a packet of no connection", () => transmit(sent(connectionOf({}).original))],
    ["a connection of another zone", () => transmit(sent(tracked({}, { zone: user2.zone }).original))],
    [
      "a UDP packet that nobody has answered",
      () => transmit(sent(tracked({ protocol: "udp" }, { status: "UNSET" }).original)),
    ],
    ...["SYN_SENT", "SYN_RECV", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE"].map(
      (state) => [`a TCP connection in ${state}`, () => transmit(sent(tracked({}, { state }).original))] as const,
    ),
    ["a fragment", () => transmit(sent(tracked({}).original, { df: false, more: true }))],
    ["a later fragment", () => transmit(sent(tracked({}).original, { df: false, offset: 800 }))],
    ["a packet with IP options", () => transmit(sent(tracked({}).original, { options: Buffer.alloc(4, 1) }))],
    ["an outer packet without DF", () => transmit(outer(tracked({}).original, (frame) => frame.writeUInt16BE(0, 20)))],
    ["an outer fragment", () => transmit(outer(tracked({}).original, (frame) => frame.writeUInt16BE(0x6000, 20)))],
    ["a key of no tenant", () => transmit(outer(tracked({}).original, (frame) => frame.writeUInt32BE(3000, 38)))],
    [
      "GRE with a sequence bit",
      () => transmit(outer(tracked({}).original, (frame) => frame.writeUInt16BE(0x3000, 34))),
    ],
    [
      "a gretap tenant's key in plain GRE",
      () => {
        const { fields } = tracked({}).original;
        const leavesBy = { ...fields.leavesBy, tenant: { ...user1, wrap: "gre" } as const };
        transmit(sent(new Direction({ ...fields, leavesBy })));
      },
    ],
    [
      "a packet behind a VLAN tag",
      () => {
        const frame = sent(tracked({}).original);
        transmit(Buffer.concat([frame.subarray(0, 12), Buffer.from([0x81, 0, 0, 5]), frame.subarray(12)]));
      },
    ],
    [
      "ICMP",
      () => {
        tracked({});
        const inner = packet.ipv4({ src: "1.1.1.7", dst: "10.0.0.7" }, packet.icmp());
        const eth = { src: macs.innerGateway, dst: macs.innerServer };
        const outerIp = { src: "172.168.0.1", dst: "172.168.0.11" };
        const gre = wrapped("gretap", { key: user1.key }, eth, inner);
        transmit(packet.ethernet({ src: macs.gateway, dst: macs.server }, packet.ipv4(outerIp, gre)));
      },
    ],
    [
      "a packet that is not in GRE",
      () => transmit(packet.ethernet({ src: macs.gateway, dst: macs.server }, plain(tracked({}).original))),
    ],
  ];
  for (const [name, send] of cases)
    it(name, () => {
      send();
      expect(learned()).toEqual(nothing);
    });

  it("a connection with a helper", async () => {
    await usingHelperConnection((ends) => {
      transmit(sent(connectionOf(ends).original));
      expect(learned()).toEqual(nothing);
    });
  });
});

it("the same connection without its helper is learned", async () => {
  await usingHelperConnection((ends) => {
    transmit(sent(connectionOf(ends).original));
    expect(learned()).toEqual({ flows: 1, templates: 1, connections: 1 });
  }, false);
});

it("a frame cut anywhere behind the outer IP header does no harm", () => {
  const { original } = tracked();
  const whole = sent(original, { payload: "" });
  for (let length = 34; length < whole.length - 16; length++) transmit(whole.subarray(0, length));
  expect(learned()).toEqual(nothing);
});

it("other traffic of the NIC goes by", () => {
  for (const frame of [
    packet.ethernet({ src: macs.gateway, dst: macs.client, type: packet.etherType.ipv6 }, Buffer.alloc(60, 0x60)),
    packet.arp({
      operation: "request",
      senderMac: macs.gateway,
      sender: "172.168.0.1",
      targetMac: "00:00:00:00:00:00",
      target: "172.168.0.7",
    }),
  ])
    transmit(frame);
  expect(learned()).toEqual(nothing);
});

/** A packet that leaves, with a change to its bytes and the outer checksum made right. */
function outer(direction: Direction, change: (frame: Buffer) => void): Buffer {
  const frame = sent(direction);
  change(frame);
  return rechecked(frame);
}

/** The inner packet as it leaves, without its tunnel. */
function plain(direction: Direction): Buffer {
  return direction.leaves().subarray(56);
}

/** Two ends on the namespace's loopback device that have just talked; the server is its own public end. */
type Ends = Record<"client" | "publicEnd" | "server", { readonly address: string; readonly port: number }>;

/** Runs a script that prints the client's port once it has talked with a server on port 2121 in the first tenant's zone. */
async function usingTalk(chains: string, script: string, look: (ends: Ends) => void | Promise<void>): Promise<void> {
  const zone = `chain zone { type filter hook output priority raw; ct zone set ${user1.zone}; }`;
  namespace.exec("nft", `table ip talk {\n${zone}\n${chains}\n}`);
  const child = spawn("ip", ["netns", "exec", namespace.name, process.execPath, "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const server = { address: "127.0.0.1", port: 2121 };
    await look({ client: { address: "127.0.0.1", port: Number(line) }, publicEnd: server, server });
  } finally {
    child.kill("SIGKILL");
    await once(child, "exit");
    namespace.exec("nft", "delete table ip talk");
  }
}

/** A datagram and its answer, a moment ago. */
async function usingDatagrams(look: (ends: Ends) => Promise<void>): Promise<void> {
  const script = `const { createSocket } = require("node:dgram");
    const [client, server] = [createSocket("udp4"), createSocket("udp4")];
    server.on("message", (data, { port, address }) => server.send(data, port, address));
    client.on("message", () => console.log(client.address().port));
    server.bind(2121, "127.0.0.1", () => client.send("x", 2121, "127.0.0.1"));`;
  await usingTalk("", script, look);
}

/** A real FTP control connection. */
async function usingHelperConnection(look: (ends: Ends) => void, withHelper = true): Promise<void> {
  const set = withHelper ? 'tcp dport 2121 ct helper set "ftp"' : "accept";
  const chains = `ct helper ftp { type "ftp" protocol tcp; }
    chain helper { type filter hook output priority filter; ${set}; }`;
  const script = `const { connect, createServer } = require("node:net");
    createServer((socket) => socket.resume()).listen(2121, "127.0.0.1", () => {
      const socket = connect(2121, "127.0.0.1", () => socket.write("x", () => console.log(socket.localPort)));
    });`;
  await usingTalk(chains, script, look);
}
