// A connection that no rule admits ends in XDP; whatever else the kernel would do with a packet is the kernel's to do.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DaemonRecord } from "../../src/daemon/record.js";
import type { Desired } from "../../src/model/desired.js";
import { noLimits } from "../../src/model/shares.js";
import { deniedMark, outboundMark } from "../../src/plan/rules.js";
import { datapathModules } from "./support/built.js";
import { Datapath } from "./support/datapath.js";
import { expectDropped, expectPassed } from "./support/expectations.js";
import { makeNamespace, track, untrack } from "./support/kernel.js";
import * as packet from "./support/packet.js";
import { forwardAll, judged, stateWith, type TestPolicy } from "./support/policy.js";
import { connectionOf, type EstablishOptions, macs, stranger, tunnelMac, World, wrapped } from "./support/world.js";

const metrics: typeof import("../../src/metrics.js") = await import(
  new URL("../../dist/src/metrics.js", import.meta.url).href
);

const datapath = new Datapath();
afterAll(() => datapath[Symbol.dispose]());
const world = new World(datapath);
const namespace = makeNamespace();
const names = forwardAll(namespace);

const any = { from: 0, to: 0xffff_ffff };
const tcp = { from: 6, to: 6 };
const anyPort = { from: 0, to: 65_535 };
const port = (number: number) => ({ from: number, to: number });

/** Port 22 in, everything but port 22 out; a service on 80 is forwarded to 8080, which no rule admits. */
const policy: TestPolicy = {
  inbound: [
    { verdict: "allow", protocol: tcp, address: any, ports: [port(22)] },
    { verdict: "deny", protocol: tcp, address: any, ports: [port(23)] },
  ],
  outbound: [
    { verdict: "deny", protocol: tcp, address: any, ports: [port(22)] },
    { verdict: "allow", protocol: tcp, address: any, ports: [anyPort] },
  ],
  publicIps: [{ address: "2.2.2.11", to: "10.0.0.7" }],
  portForwards: [{ address: "2.2.2.13", protocol: 6, ports: port(22), to: "10.0.0.8", toPort: 8080 }],
};

function load(wanted: TestPolicy): void {
  world.reset();
  world.addTenant(judged);
  datapath.setEntries(
    [...stateWith(wanted).entries.values()].filter(({ map }) => map !== "tunnels" && map !== "endpoints"),
    names,
  );
}
beforeEach(() => {
  untrack(namespace);
  load(policy);
});

const receive = (frame: Buffer) => datapath.receive(frame, { netns: namespace.path });

/** The first packet of a connection. */
function opening(to: string, toPort: number, options: EstablishOptions = {}) {
  const publicEnd = { address: to, port: toPort };
  return connectionOf({ tenant: judged, server: { address: "10.0.0.7", port: toPort }, ...options, publicEnd });
}
const syn = { tcpFlags: ["syn"] } as const;

const denials = () =>
  Object.fromEntries(
    [...datapath.denials.entries()].map(([{ tenant, mark }, counts]) => [
      `tenant ${tenant}, mark ${mark}`,
      counts
        .map(({ packets, bytes }) => [packets, bytes])
        .reduce(([p = 0n, b = 0n], [q = 0n, c = 0n]) => [p + q, b + c]),
    ]),
  );

describe("a new connection that the policy does not admit", () => {
  it("is dropped, and counted where no rule matches", () => {
    expectDropped(receive(opening("2.2.2.11", 25).original.arrives(syn)), judged, "policy");
    expect(denials()).toEqual({ "tenant 5, mark 0": [1n, 49n] });
  });

  it("is counted under the rule that refuses it", () => {
    receive(opening("2.2.2.11", 23).original.arrives(syn));
    expect(denials()).toEqual({ [`tenant 5, mark ${deniedMark + 2}`]: [1n, 49n] });
  });

  it("is counted under the outbound rule when it is the tenant's own", () => {
    expectDropped(receive(opening("1.1.1.7", 22).original.arrives(syn)), judged, "policy");
    expect(denials()).toEqual({ [`tenant 5, mark ${deniedMark + outboundMark + 1}`]: [1n, 49n] });
  });

  it("is dropped in UDP, too", () => {
    expectDropped(receive(opening("2.2.2.11", 22, { protocol: "udp" }).original.arrives()), judged, "policy");
  });

  it("is judged by the port that it is forwarded to", () => {
    expectDropped(receive(opening("2.2.2.13", 22).original.arrives(syn)), judged, "policy");
  });

  it("is dropped every time that it is tried", () => {
    const frame = opening("2.2.2.11", 25).original.arrives(syn);
    expect([1, 2, 3].map(() => receive(frame).verdict)).toEqual(["drop", "drop", "drop"]);
  });

  it("is told as an event with its tuple", () => {
    receive(opening("2.2.2.11", 25).original.arrives(syn));
    expect(datapath.events().map(({ tenant, key }) => [tenant, key.dport])).toEqual([[judged.id, 25]]);
  });

  it("of a stranger is a stranger's", () => {
    expectDropped(receive(opening("2.2.2.11", 25).original.arrives(syn, { src: stranger })), judged, "stranger");
  });
});

describe("goes up to the kernel:", () => {
  const refused = () => opening("2.2.2.11", 25).original;
  const passes = (frame: Buffer, reason = "no_flow") => expectPassed(receive(frame), frame, judged, reason);

  it("a new connection that a rule admits", () => passes(opening("2.2.2.11", 22).original.arrives(syn)));

  it("the tenant's own that a rule admits", () => passes(opening("1.1.1.7", 25).original.arrives(syn)));

  it("a connection that conntrack knows, as it was admitted before the policy changed", () => {
    const connection = opening("2.2.2.11", 25);
    track(namespace, connection);
    passes(connection.original.arrives(syn));
  });

  it("an answer, which no rule for new connections is about", () => {
    const connection = opening("2.2.2.11", 25, { protocol: "udp", client: { address: "1.1.1.7", port: 22 } });
    track(namespace, connection);
    passes(connection.reply.arrives());
  });

  it("another tenant's connection of the same tuple does not count as known", () => {
    const connection = opening("2.2.2.11", 25);
    track(namespace, connection, { zone: 99 });
    expectDropped(receive(connection.original.arrives(syn)), judged, "policy");
  });

  for (const flags of [["ack"], ["syn", "ack"], ["rst"], ["fin", "ack"], ["syn", "fin"]] as const)
    it(`a packet from the middle of a connection (${flags.join(" ")}), which may be answered with a reset`, () =>
      passes(refused().arrives({ tcpFlags: flags })));

  it("what would expire here, which the sender is told", () => passes(refused().arrives({ ...syn, ttl: 1 })));

  it("what is larger than the way out, which the sender is told", () =>
    passes(opening("2.2.2.11", 25, { protocol: "udp" }).original.arrives({ payload: "x".repeat(2000) })));

  it("what is meant for the gateway itself", () => passes(opening("10.0.0.1", 22).original.arrives(syn)));

  it("a broadcast into the tenant's network", () =>
    passes(opening("10.0.0.255", 67, { protocol: "udp" }).original.arrives()));

  it("multicast", () => passes(opening("224.0.0.251", 53, { protocol: "udp" }).original.arrives()));

  it("what has no route, which the sender is told", () => {
    namespace.ip("route", "add", "unreachable", "203.0.113.0/24");
    passes(opening("203.0.113.7", 22).original.arrives(syn));
    namespace.ip("route", "del", "unreachable", "203.0.113.0/24");
  });

  it("everything of a tenant that is being changed", () => {
    datapath.generations.set(judged.id, 7);
    passes(refused().arrives(syn));
    datapath.generations.set(judged.id, 0);
  });

  it("everything of a tenant whose policy the maps do not have", () => {
    world.addTenant(judged);
    passes(refused().arrives(syn));
  });

  it("a fragment", () => passes(refused().arrives({ ...syn, df: false, more: true }), "fragment"));

  it("ICMP", () => {
    const inner = packet.ipv4({ src: "1.1.1.7", dst: "2.2.2.11" }, packet.icmp());
    const innerEth = { src: macs.innerClient, dst: tunnelMac(judged) };
    const outer = { src: judged.peers[0] as string, dst: "172.168.0.1" };
    const gre = wrapped("gretap", { key: judged.key }, innerEth, inner);
    passes(packet.ethernet({ src: macs.client, dst: macs.gateway }, packet.ipv4(outer, gre)), "not_tcp_udp");
  });
});

describe("a policy", () => {
  it("without any rule admits nothing", () => {
    load({ inbound: [], outbound: [] });
    expectDropped(receive(opening("1.1.1.7", 80).original.arrives(syn)), judged, "policy");
    expect(denials()).toEqual({ [`tenant 5, mark ${outboundMark}`]: [1n, 49n] });
  });

  it("that is too large for the maps is left to the rules", () => {
    const hosts = Array.from({ length: 200 }, (_, n) => ({ from: 0x0a00_0000 + 2 * n, to: 0x0a00_0000 + 2 * n }));
    const services = Array.from({ length: 100 }, (_, n) => port(1000 + 2 * n));
    load({
      outbound: [
        ...hosts.map((address) => ({ verdict: "deny", protocol: tcp, address, ports: [port(5)] }) as const),
        { verdict: "allow", protocol: tcp, address: any, ports: services },
      ],
    });
    const frame = opening("1.1.1.7", 80).original.arrives(syn);
    expectPassed(receive(frame), frame, judged, "no_flow");
  });

  it("does not know the connections of another network namespace", () => {
    const elsewhere = makeNamespace();
    const connection = opening("2.2.2.11", 25);
    track(elsewhere, connection);
    expectDropped(receive(connection.original.arrives(syn)), judged, "policy");
  });
});

describe("a scrape", () => {
  const instance = `denied${process.pid}`.slice(0, 15);
  const pins = new datapathModules.pins.Pins(instance);
  beforeAll(() => datapath.pinMaps(pins));
  afterAll(() => pins.removeAll());

  it("has what XDP has denied, by direction", async () => {
    for (const attempt of [opening("2.2.2.11", 25), opening("2.2.2.11", 23), opening("1.1.1.7", 22)])
      receive(attempt.original.arrives(syn));
    const tenants = [{ id: judged.id, name: "user1", limits: noLimits }];
    const desired = { instance, tenants, shares: noLimits, nics: [] } as unknown as Desired;
    const text = Buffer.concat(
      (await metrics.readMetrics(desired, new DaemonRecord().report())) as Buffer[],
    ).toString();
    expect(text.split("\n").filter((line) => /^xgw_denied_packets_total/.test(line))).toEqual([
      'xgw_denied_packets_total{tenant="user1",direction="inbound"} 2',
      'xgw_denied_packets_total{tenant="user1",direction="outbound"} 1',
    ]);
  });
});
