// How much fits the way to a tunnel endpoint: learned with the flow from the kernel's routes, and asked again after ICMP.
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { Datapath, jiffies, underlayAddress } from "./support/datapath.js";
import { makeNamespace, track, untrack } from "./support/kernel.js";
import * as packet from "./support/packet.js";
import { clientEndpoint, connectionOf, macs, stranger, type TestTenant, user1, user2, World } from "./support/world.js";

const datapath = new Datapath();
afterAll(() => datapath[Symbol.dispose]());
const world = new World(datapath);
const namespace = makeNamespace();
const nic = namespace.veth[0];
namespace.ip("addr", "add", `${underlayAddress}/24`, "dev", "v0");
namespace.exec("sysctl", "-qw", "net.ipv4.ip_forward=1");

beforeEach(() => {
  world.reset();
  untrack(namespace);
});

/** MTU of the template that a connection's packet to the server teaches. */
function learnedMtu(tenant: TestTenant, port = 40_000): number | undefined {
  const connection = connectionOf({ tenant, protocol: "udp", client: { address: "1.1.1.7", port } });
  track(namespace, connection);
  const frame = connection.original.leaves();
  frame.writeUInt16BE(0x1234, 18); // an id, as the kernel has it
  frame.writeUInt16BE(0, 24);
  frame.writeUInt16BE(packet.checksum(frame.subarray(14, 34)), 24);
  datapath.transmit(frame, namespace.path, nic);
  const [id = -1] = datapath.encapsInUse();
  return datapath.encaps.get(id)?.mtu;
}

describe("a flow is learned with the MTU", () => {
  it.each([
    ["of its tunnel where the route says no less", user1, "172.168.0.11", 1500, 1458],
    ["that the route to a gretap endpoint leaves", user1, "172.168.0.11", 1400, 1358],
    ["that the route to a gre endpoint leaves", user2, "172.168.0.12", 1400, 1372],
    ["of its tunnel where the route says something that no packet fits in", user1, "172.168.0.11", 42, 1458],
  ] as const)("%s", (_what, tenant, endpoint, routeMtu, wanted) => {
    namespace.ip("route", "replace", `${endpoint}/32`, "dev", "v0", "mtu", "lock", `${routeMtu}`);
    expect(learnedMtu(tenant)).toBe(wanted);
  });

  it("of its tunnel where there is no route", () => {
    namespace.ip("route", "replace", "unreachable", "172.168.0.11/32");
    expect(learnedMtu(user1)).toBe(1458);
    namespace.ip("route", "del", "unreachable", "172.168.0.11/32");
  });
});

it("a way that carries less has no second template: all of its flows follow the one", () => {
  const route = (mtu: number) =>
    namespace.ip("route", "replace", "172.168.0.11/32", "dev", "v0", "mtu", "lock", `${mtu}`);
  const learned = [1500, 1400, 1500].map((mtu, n) => {
    route(mtu);
    return [learnedMtu(user1, 40_001 + n), datapath.encapsInUse().length];
  });
  expect(learned).toEqual([
    [1458, 1],
    [1358, 1],
    [1458, 1],
  ]);
});

interface News {
  readonly type?: number;
  readonly code?: number;
  readonly key?: number;
  readonly endpoint?: string;
  readonly source?: string;
  readonly to?: string;
}

/** What a router of the underlay says about a tunnel packet of the gateway's, with the 28 bytes that it must quote. */
function news({ type = 3, code = 4, key = 1000, endpoint, source, to }: News = {}): Buffer {
  const outer = { src: source ?? underlayAddress, dst: endpoint ?? clientEndpoint };
  const about = packet.ipv4(outer, packet.gre({ type: packet.etherType.bridged, key }, Buffer.alloc(100)));
  const message = Buffer.concat([Buffer.from([type, code, 0, 0, 0, 0, 1400 >> 8, 1400 & 0xff]), about.subarray(0, 28)]);
  message.writeUInt16BE(packet.checksum(message), 2);
  const addresses = { src: "172.168.0.254", dst: to ?? underlayAddress };
  return packet.ethernet({ src: macs.client, dst: macs.gateway }, packet.ipv4(addresses, packet.raw(1, message)));
}

describe("news of a smaller path MTU", () => {
  const inside = { netns: namespace.path, ingressIfindex: nic };
  const whole = { payload: Buffer.alloc(1400, 7) };
  const route = (mtu: number) =>
    namespace.ip("route", "replace", "172.168.0.11/32", "dev", "v0", "mtu", "lock", `${mtu}`);

  /** A connection to the server whose template has been looked at, by way of the NIC, where all fits. */
  function establish(tenant = user1) {
    route(1500);
    const connection = world.establish({ tenant, ifindex: nic });
    expect(datapath.receive(connection.original.arrives(whole), inside).summary).toMatch(/^tx/);
    return connection;
  }

  it("go to the kernel, and have it asked at once what fits the template's way", () => {
    const connection = establish();
    route(1400);
    expect(datapath.receive(news(), inside).summary).toBe("pass, tenant 0: host");
    expect(datapath.receive(connection.original.arrives(whole), inside).summary).toBe("pass, tenant 1: mtu");
    expect(datapath.receive(connection.original.arrives(), inside).summary).toMatch(/^tx/);
  });

  it("change nothing that the kernel has not believed: not the way, nor the tenant's generation", () => {
    const connection = establish();
    const generation = datapath.generations.get(user1.id);
    for (let n = 0; n < 100; n++) datapath.receive(news(), inside);
    expect(datapath.receive(connection.original.arrives(whole), inside).summary).toMatch(/^tx/);
    expect(datapath.generations.get(user1.id)).toBe(generation);
  });

  it("that were missed are noticed when a flow asks conntrack, and so is that all fits again", () => {
    const connection = establish();
    track(namespace, connection);
    const later = () => world.change(connection.original, { checked: (jiffies() - 2000) >>> 0 });
    route(1400);
    later();
    expect(datapath.receive(connection.original.arrives(), inside).summary).toMatch(/^tx/);
    expect(datapath.receive(connection.original.arrives(whole), inside).summary).toBe("pass, tenant 1: mtu");
    route(1500);
    later();
    datapath.receive(connection.original.arrives(), inside);
    expect(datapath.receive(connection.original.arrives(whole), inside).summary).toMatch(/^tx/);
  });

  it.each<[string, News]>([
    ["another ICMP error", { code: 1 }],
    ["another kind of ICMP", { type: 11 }],
    ["a key that no tenant has", { key: 4242 }],
    ["an endpoint that is not the tenant's", { endpoint: stranger }],
    ["a packet that the gateway has not sent", { source: stranger }],
    ["somebody else's address", { to: stranger }],
  ])("are no such news: %s", (_what, what) => {
    const connection = establish();
    route(1400);
    expect(datapath.receive(news(what), inside).verdict).toBe("pass");
    expect(datapath.receive(connection.original.arrives(whole), inside).summary).toMatch(/^tx/);
  });

  it("cut short are no news", () => {
    const connection = establish();
    route(1400);
    expect(datapath.receive(news().subarray(0, 69), inside).verdict).toBe("pass");
    expect(datapath.receive(connection.original.arrives(whole), inside).summary).toMatch(/^tx/);
  });
});
