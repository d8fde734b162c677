// The way of a template: XDP asks the kernel's own tables whether it still sends so, and leaves the template when it does not.
// Nobody tells XDP of a change here: there is no daemon.
import { setTimeout as sleep } from "node:timers/promises";
import { inNetNamespace, interfaceIndex } from "libbpf-ts";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { ticksIn } from "../../src/kernel/clock.js";
import { Datapath, jiffies, underlayAddress } from "./support/datapath.js";
import { makeNamespace, track, untrack } from "./support/kernel.js";
import * as packet from "./support/packet.js";
import { connectionOf, type Direction, macs, type TestConnection, user1, user2, World } from "./support/world.js";

const askEveryMs = 100;
const datapath = new Datapath({}, ticksIn(askEveryMs / 1000));
afterAll(() => datapath[Symbol.dispose]());
const world = new World(datapath);
const namespace = makeNamespace();
const nic = namespace.veth[0];
namespace.ip("link", "add", "w0", "type", "veth", "peer", "name", "w1");
namespace.exec("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.ignore_routes_with_linkdown=1");
const otherNic = inNetNamespace(namespace.path, () => interfaceIndex("w0"));
const inside = { netns: namespace.path, ingressIfindex: nic };

/** Index of user1's tunnel device. */
const tunnel = 4711;
const endpoint = "172.168.0.11";
const otherEndpoint = "172.168.0.12";
const [nextHop, otherNextHop] = ["172.168.0.254", "172.169.0.254"];
const [otherNicMac, otherMac] = ["02:00:00:00:01:01", "02:00:00:00:01:fe"];
const byNic = ["via", nextHop, "dev", "v0"];
const byOther = ["via", otherNextHop, "dev", "w0"];
const route = (...args: string[]) => namespace.ip("route", ...args);
const rule = (...args: string[]) => namespace.ip("rule", "add", ...args);
const neighbour = (...args: string[]) => namespace.ip("neigh", ...args);

/** Each NIC with its address, the route to an endpoint by the one, and the rest of the world by the other. */
const tables = [
  "rule flush",
  "rule add lookup main pref 32766", // the one for the local table stays
  "route flush table main",
  "route flush table 100",
  ...(
    [
      ["v", macs.gateway, `${underlayAddress}/24`],
      ["w", otherNicMac, "172.169.0.1/24"],
    ] as const
  ).flatMap(([name, mac, address]) => [
    `link set ${name}0 down address ${mac}`,
    `link set ${name}0 up`,
    `link set ${name}1 up`,
    `addr replace ${address} dev ${name}0`,
  ]),
  `neigh replace ${nextHop} lladdr ${macs.server} dev v0 nud stale`,
  `neigh replace ${otherNextHop} lladdr ${otherMac} dev w0 nud stale`,
  `route replace default ${byOther.join(" ")}`,
  ...[endpoint, otherEndpoint].map((one) => `route replace ${one} ${byNic.join(" ")} metric 5`),
];

beforeEach(() => {
  world.reset();
  untrack(namespace);
  tracked.clear();
  datapath.takeFrames(nic, macs.gateway);
  const { id, zone, mtu } = user1;
  datapath.tenants.set(user1.key, { id, zone, mtu, wrap: 0, tunnel_ifindex: tunnel });
  datapath.setNeighbour(tunnel, "10.0.0.7", macs.innerServer);
  inNetNamespace(namespace.path, () => datapath.nics.set(otherNic, otherNic));
  // A table that nobody has used yet cannot be flushed, which is as well.
  namespace.exec("sh", "-c", tables.map((line) => `ip ${line} 2> /dev/null`).join("; "));
});

const receive = ({ original }: TestConnection, payload = "some data") =>
  datapath.receive(original.arrives({ payload }), inside).summary;
const [followed, left, sampled] = ["tx, tenant 1: forwarded", "pass, tenant 1: template", "pass, tenant 1: sample"];
const due = () => sleep(askEveryMs + 30);
const seconds = () => Math.floor(Number(process.hrtime.bigint()) / 1e9) & 0xff; // CLOCK_MONOTONIC, as the programs read it

const tracked = new Set<number>();
/** Conntrack has it for the rest of the test. */
function live(connection: TestConnection): TestConnection {
  const { port } = connection.original.fields.arrivesAs[0];
  if (!tracked.has(port)) track(namespace, connection);
  tracked.add(port);
  return connection;
}

/** A connection whose template's way the kernel has named once. */
function established(): TestConnection {
  const connection = live(world.establish({ ifindex: nic }));
  makeDue(connection.original);
  expect(receive(connection)).toBe(followed);
  return connection;
}

/** The template of a direction that the world has made. */
function templateOf(direction: Direction) {
  const id = datapath.flows.get(direction.key)?.encap ?? -1;
  const template = datapath.encaps.get(id);
  if (!template) throw new Error("the flow has no template");
  return { id, template };
}

function makeDue(direction: Direction, changes: { sampled?: number } = {}) {
  const { id, template } = templateOf(direction);
  datapath.encaps.set(id, { ...template, asked: (jiffies() - 100_000) >>> 0, ...changes });
}

/** The kernel sends a connection's packet by that NIC. */
function transmit(
  connection: TestConnection,
  ifindex: number = nic,
  from: string = macs.gateway,
  to: string = macs.server,
) {
  live(connection);
  const frame = connection.original.leaves();
  Buffer.from(`${to}:${from}`.replaceAll(":", ""), "hex").copy(frame);
  frame.writeUInt16BE(0x1234, 18); // an id, as the kernel has it
  frame.writeUInt16BE(0, 24);
  frame.writeUInt16BE(packet.checksum(frame.subarray(14, 34)), 24);
  datapath.transmit(frame, namespace.path, ifindex);
}

describe("a flow goes up as soon as the kernel would send it otherwise:", () => {
  it.each<[string, () => void]>([
    ["a better route has come", () => route("add", endpoint, ...byOther, "metric", "1")],
    ["its route leads to another next hop", () => route("replace", endpoint, ...byOther, "metric", "5")],
    ["its route has gone, and there is another", () => route("del", endpoint)],
    ["its route has become unreachable", () => route("replace", "unreachable", endpoint, "metric", "5")],
    ["its NIC is down", () => namespace.ip("link", "set", "v0", "down")],
    ["its NIC has lost the carrier", () => namespace.ip("link", "set", "v1", "down")],
    ["its NIC has another MAC address", () => namespace.ip("link", "set", "v0", "address", otherNicMac)],
    [
      "its next hop has another MAC address",
      () => neighbour("replace", nextHop, "lladdr", otherMac, "dev", "v0", "nud", "stale"),
    ],
    ["its host in the tunnel has another MAC address", () => datapath.setNeighbour(tunnel, "10.0.0.7", otherMac)],
    ["its host in the tunnel is not known any more", () => datapath.setNeighbour(tunnel, "10.0.0.7")],
    ["its next hop is not known any more", () => neighbour("del", nextHop, "dev", "v0")],
    [
      "a rule leads to another table, by its source",
      () => {
        route("add", "default", ...byOther, "table", "100");
        rule("from", underlayAddress, "lookup", "100");
      },
    ],
    [
      "a rule is for what the machine itself sends",
      () => {
        route("add", "default", ...byOther, "table", "100");
        rule("iif", "lo", "lookup", "100");
      },
    ],
  ])("%s", async (_what, change) => {
    const connection = established();
    change();
    await due();
    expect(receive(connection)).toBe(left);
  });

  it("the route in another table has changed", async () => {
    route("add", endpoint, ...byNic, "table", "100");
    rule("to", endpoint, "lookup", "100");
    const connection = established();
    route("replace", endpoint, ...byOther, "table", "100");
    await due();
    expect(receive(connection)).toBe(left);
  });
});

describe("a flow is followed on when", () => {
  it.each<[string, () => void]>([
    ["nothing has changed", () => undefined],
    ["another host in the tunnel has another MAC address", () => datapath.setNeighbour(tunnel, "10.0.0.8", otherMac)],
    ["another endpoint's route has changed", () => route("replace", otherEndpoint, ...byOther, "metric", "5")],
    [
      "a rule is for what comes in by the NIC",
      () => {
        route("add", "default", ...byOther, "table", "100");
        rule("iif", "v0", "lookup", "100");
      },
    ],
    [
      "a rule is for packets with a mark",
      () => {
        route("add", "default", ...byOther, "table", "100");
        rule("fwmark", "1", "lookup", "100");
      },
    ],
    [
      "its route has come again by another protocol",
      () => route("replace", endpoint, ...byNic, "metric", "5", "proto", "bird"),
    ],
    [
      "its neighbour is being probed",
      () => neighbour("replace", nextHop, "lladdr", macs.server, "dev", "v0", "nud", "probe"),
    ],
  ])("%s", async (_what, change) => {
    const connection = established();
    change();
    await due();
    expect(receive(connection)).toBe(followed);
  });
});

describe("a template that is left", () => {
  it("stays so for all of its packets, and others are not concerned", async () => {
    const client = { address: "1.1.1.7", port: 40_002 };
    const other = live(world.establish({ tenant: user2, client, ifindex: nic })); // to the other endpoint
    const connection = established();
    route("replace", endpoint, ...byOther, "metric", "5");
    await due();
    const seen = [receive(connection), receive(connection), receive(other)];
    expect(seen).toEqual([left, left, "tx, tenant 2: forwarded"]);
  });

  it("is followed by what the kernel sends then", async () => {
    const connection = established();
    route("replace", endpoint, ...byOther, "metric", "5");
    await due();
    receive(connection);
    transmit(connection, otherNic, otherNicMac, otherMac);
    expect(datapath.receive(connection.original.arrives(), inside).summary).toBe("redirect, tenant 1: forwarded");
  });

  it("is taken up again, in its place, when the kernel sends so again", async () => {
    const connection = connectionOf({ protocol: "udp" });
    transmit(connection);
    expect(receive(connection)).toBe(followed);
    route("replace", endpoint, ...byOther, "metric", "5");
    await due();
    expect(receive(connection)).toBe(left);
    route("replace", endpoint, ...byNic, "metric", "5");
    transmit(connection);
    expect([receive(connection), datapath.encapsInUse().length]).toEqual([followed, 1]);
  });
});

describe("of several next hops of one route", () => {
  const both = () => route("replace", endpoint, "metric", "5", "nexthop", ...byNic, "nexthop", ...byOther);
  /** Whose template goes by this next hop, with the kernel's packets. */
  const ways = [
    { ifindex: nic, from: macs.gateway, to: macs.server },
    { ifindex: otherNic, from: otherNicMac, to: otherMac },
  ] as const;

  it("any is right: a flow by either is followed for as long as that is the kernel's way", async () => {
    both();
    const named: boolean[] = [];
    for (const [n, { ifindex, from, to }] of ways.entries()) {
      const connection = connectionOf({ protocol: "udp", client: { address: "1.1.1.7", port: 40_001 + n } });
      transmit(connection, ifindex, from, to);
      for (let time = 0; time < 12; time++) {
        const seen = receive(connection);
        if (seen === sampled) transmit(connection, ifindex, from, to);
        else expect(seen).toMatch(/^(tx|redirect), tenant 1: forwarded$/);
        await due();
      }
      named.push(templateOf(connection.original).template.way === ifindex);
    }
    expect(named.toSorted(), "the look-up names one of the two").toEqual([false, true]);
  });

  it("each that the look-up does not name is asked for by a packet a second, and left when the kernel takes another", async () => {
    both();
    const connections = ways.map(({ ifindex, from, to }, n) => {
      const connection = connectionOf({ protocol: "udp", client: { address: "1.1.1.7", port: 40_001 + n } });
      transmit(connection, ifindex, from, to);
      receive(connection);
      return connection;
    });
    const untold = connections.findIndex((one) => templateOf(one.original).template.way === 0xffff_ffff);
    const connection = connections[untold];
    const other = ways[1 - untold];
    if (!connection || !other) throw new Error("the look-up names both");
    const { id } = templateOf(connection.original);
    await sleep(1100);
    expect(receive(connection)).toBe(sampled);
    transmit(connection, other.ifindex, other.from, other.to);
    expect([datapath.encaps.get(id)?.state, templateOf(connection.original).template.ifindex]).toEqual([
      4,
      other.ifindex,
    ]);
  });
});

it("a flow whose way the look-up has never named goes up when the kernel sends nothing there any more", async () => {
  const connection = established();
  const { id, template } = templateOf(connection.original);
  datapath.encaps.set(id, { ...template, way: 0xffff_ffff, asked: (jiffies() - 100_000) >>> 0 });
  route("replace", "unreachable", endpoint, "metric", "5");
  expect(receive(connection)).toBe(left);
});

describe.each([
  ["names", byNic],
  ["does not name", byOther], // by that NIC, however, the kernel is seen to send
])("a way that the look-up %s, and whose samples the kernel", (_what, by) => {
  const begun = () => {
    route("replace", endpoint, ...by, "metric", "5");
    const connection = connectionOf({ protocol: "udp" });
    transmit(connection);
    expect(receive(connection)).toBe(followed);
    makeDue(connection.original, { sampled: (seconds() - 11) & 0xff });
    expect(receive(connection)).toBe(sampled);
    return connection;
  };
  /** What becomes of packets, of which each is a second after the one before. */
  const everySecond = (connection: TestConnection, packets: number, isSent: boolean) =>
    Array.from({ length: packets }, () => {
      makeDue(connection.original, { sampled: (seconds() - 2) & 0xff });
      const seen = receive(connection);
      if (isSent && seen === sampled) transmit(connection);
      return seen;
    });

  it("is not seen to send is left after four", () => {
    expect(everySecond(begun(), 5, false)).toEqual([sampled, sampled, sampled, left, left]);
  });

  it("is seen to send is followed on", () => {
    const connection = begun();
    transmit(connection);
    const seen = everySecond(connection, 6, true);
    expect([seen.includes(left), seen.at(-1)]).toEqual([false, by === byNic ? followed : sampled]);
  });
});

it("a flow to an address that has moved alone ends, though its template is right for the host's others", () => {
  const moved = established();
  const flow = datapath.flows.get(moved.original.key);
  if (!flow) throw new Error("the flow has gone");
  datapath.setNeighbour(tunnel, "10.0.0.7", "02:00:00:00:77:77");
  datapath.flows.set(moved.original.key, { ...flow, checked: (jiffies() - 100_000) >>> 0 });
  expect(receive(moved)).toBe(left);
  expect(datapath.flows.has(moved.original.key)).toBe(false);
});

describe("a packet of each template goes up for the kernel to use the neighbour, too:", () => {
  it("one, after ten seconds", () => {
    const connection = established();
    makeDue(connection.original, { sampled: (seconds() - 11) & 0xff });
    expect([receive(connection), receive(connection)]).toEqual([sampled, followed]);
  });

  it("none before", () => {
    const connection = established();
    makeDue(connection.original, { sampled: (seconds() - 8) & 0xff });
    expect(receive(connection)).toBe(followed);
  });

  it.each<[string, number, string]>([
    ["the next hop", nic, nextHop],
    ["the host in its tunnel", tunnel, "10.0.0.7"],
  ])("at once when the kernel has not heard of %s for a while, and no other for that", (_what, ifindex, address) => {
    const connection = established();
    datapath.makeStale(ifindex, address);
    const seen = [1, 2].map(() => {
      makeDue(connection.original, { sampled: seconds() });
      return receive(connection);
    });
    expect(seen).toEqual([sampled, followed]);
  });
});

describe("of what fits the way", () => {
  const lockedTo = (mtu: number) => route("replace", endpoint, ...byNic, "metric", "5", "mtu", "lock", `${mtu}`);
  const large = "x".repeat(1400);

  it.each([
    ["its tunnel leaves less than the route", 1500, 1458],
    ["the route leaves less than its tunnel", 1400, 1358],
    ["the route says something that no packet fits in", 42, 1458],
  ] as const)("a template has what is less: %s", (_what, routeMtu, wanted) => {
    lockedTo(routeMtu);
    expect(templateOf(established().original).template.mtu).toBe(wanted);
  });

  it("of a gre tunnel there is more", () => {
    route("replace", otherEndpoint, ...byNic, "metric", "5", "mtu", "lock", "1400");
    const { original } = live(world.establish({ tenant: user2, ifindex: nic }));
    makeDue(original);
    datapath.receive(original.arrives(), inside);
    expect(templateOf(original).template.mtu).toBe(1372);
  });

  it("less goes up where it is too large, and the rest is followed by the same template", async () => {
    const connection = established();
    expect(receive(connection, large)).toBe(followed);
    lockedTo(1400);
    await due();
    expect([receive(connection, large), receive(connection)]).toEqual(["pass, tenant 1: mtu", followed]);
  });

  it("more is followed again", async () => {
    lockedTo(1400);
    const connection = established();
    lockedTo(1500);
    await due();
    expect(receive(connection, large)).toBe(followed);
  });
});

it("a flow by the uplink goes up when the tenant's table has another next hop for its destination", async () => {
  // Instead of a VRF, which not every kernel has: a table for what comes in by a device.
  const uplink = new Datapath({ uplink: { ifindex: nic, mac: macs.gateway, tags: [] } }, ticksIn(askEveryMs / 1000));
  using _ = uplink;
  const plain = new World(uplink);
  plain.reset();
  uplink.takeFrames(nic, macs.gateway);
  uplink.tenants.set(user1.key, { id: 1, zone: user1.zone, wrap: 0, mtu: user1.mtu, vrf_ifindex: otherNic });
  rule("iif", "w0", "lookup", "100");
  route("add", "default", ...byNic, "table", "100");
  const { reply } = live(plain.establish({ plain: true, ifindex: nic }));
  const id = uplink.flows.get(reply.key)?.encap ?? -1;
  const template = uplink.encaps.get(id);
  if (!template) throw new Error("the flow has no template");
  uplink.encaps.set(id, { ...template, asked: (jiffies() - 100_000) >>> 0 });
  const seen = [uplink.receive(reply.arrives(), inside).summary];
  route("add", "1.1.1.0/24", ...byOther, "table", "100");
  await due();
  seen.push(uplink.receive(reply.arrives(), inside).summary);
  expect(seen).toEqual([followed, left]);
});
