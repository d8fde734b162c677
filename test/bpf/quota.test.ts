// A tenant's limits: what would begin a connection too many is dropped, and nothing else is.
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { Datapath } from "./support/datapath.js";
import { expectDropped, expectPassed } from "./support/expectations.js";
import { makeNamespace, track, untrack } from "./support/kernel.js";
import { forwardAll, judged, stateWith, type TestPolicy } from "./support/policy.js";
import { connectionOf, World } from "./support/world.js";

const datapath = new Datapath();
afterAll(() => datapath[Symbol.dispose]());
const world = new World(datapath);
const namespace = makeNamespace();
const names = forwardAll(namespace);

/** Everything in and out, within limits. */
function load(limits: TestPolicy["limits"]): void {
  const all = [
    {
      verdict: "allow",
      protocol: { from: 0, to: 255 },
      address: { from: 0, to: 0xffff_ffff },
      ports: [{ from: 0, to: 65_535 }],
    },
  ] as const;
  world.addTenant(judged);
  const { entries } = stateWith({ inbound: all, outbound: all, ...(limits ? { limits } : {}) });
  datapath.setEntries(
    [...entries.values()].filter(({ map }) => map !== "tunnels" && map !== "endpoints"),
    names,
  );
}

beforeEach(() => {
  untrack(namespace);
  world.reset();
  datapath.fillBuckets();
  datapath.sessionEvents.set(judged.id, 0n);
});

const receive = (frame: Buffer) => datapath.receive(frame, { netns: namespace.path });
const beginning = (port: number, protocol: "tcp" | "udp" = "tcp") =>
  connectionOf({ tenant: judged, protocol, client: { address: "1.1.1.7", port } });
const syn = { tcpFlags: ["syn"] } as const;

/** How many of so many first packets go up, and how long it took, seconds. */
function flood(packets: number, segment: (at: number) => Buffer): { admitted: number; seconds: number } {
  const started = performance.now();
  let admitted = 0;
  for (let at = 0; at < packets; at++)
    if (datapath.runOnly(segment(at), { netns: namespace.path }).verdict === "pass") admitted++;
  return { admitted, seconds: (performance.now() - started) / 1000 };
}

describe("new connections a second", () => {
  const perSecond = 20;
  const kinds: readonly (readonly [string, (at: number) => Buffer])[] = [
    ["SYNs", (at) => beginning(10_000 + at).original.arrives(syn)],
    ["UDP packets", (at) => beginning(10_000 + at, "udp").original.arrives()],
    ["TCP packets of no known connection", (at) => beginning(10_000 + at).original.arrives({ tcpFlags: ["ack"] })],
  ];
  for (const [name, segment] of kinds)
    it(`as many as there may be, out of ten times as many: ${name}`, () => {
      load({ newPerSecond: perSecond });
      const { admitted, seconds } = flood(10 * perSecond, segment);
      expect(admitted).toBeGreaterThanOrEqual(perSecond);
      expect(admitted, `in ${seconds} s`).toBeLessThanOrEqual(perSecond + Math.ceil(perSecond * seconds) + 1);
    });

  it("too many are dropped as the tenant's, by its quota", () => {
    load({ newPerSecond: 1 });
    const summaries = [1, 2, 3, 4, 5].map((port) => receive(beginning(port).original.arrives(syn)).summary);
    expect(summaries).toContain(`drop, tenant ${judged.id}: quota`);
    expect(summaries[0]).toBe(`pass, tenant ${judged.id}: no_flow`);
  });

  it("a connection that conntrack knows costs nothing", () => {
    load({ newPerSecond: 1 });
    const known = beginning(7);
    track(namespace, known);
    flood(20, (at) => beginning(10_000 + at).original.arrives(syn));
    for (let n = 0; n < 3; n++) {
      const frame = known.original.arrives();
      expectPassed(receive(frame), frame, judged, "no_flow");
    }
  });

  it("one tenant's flood takes nothing from another", () => {
    load({ newPerSecond: 1 });
    flood(20, (at) => beginning(10_000 + at).original.arrives(syn));
    const other = { ...judged, id: 6, key: 6000, zone: 6 };
    world.addTenant(other);
    datapath.tenants.set(other.key, {
      ...{ id: other.id, zone: other.zone, wrap: 0, mtu: 1458, vrf_ifindex: namespace.veth[0] },
    });
    datapath.limits.set(other.id, { new_per_second: 1 });
    const frame = connectionOf({ tenant: other }).original.arrives(syn);
    expectPassed(receive(frame), frame, other, "no_flow");
  });

  it("no limit is no limit", () => {
    load(undefined);
    expect(flood(100, (at) => beginning(10_000 + at).original.arrives(syn)).admitted).toBe(100);
  });
});

describe("live connections", () => {
  beforeEach(() => load({ sessions: 10 }));

  it("one more is let in while there is room", () => {
    datapath.sessionEvents.set(judged.id, 9n);
    const frame = beginning(1).original.arrives(syn);
    expectPassed(receive(frame), frame, judged, "no_flow");
  });

  it("no more when there are as many as there may be", () => {
    datapath.sessionEvents.set(judged.id, 10n);
    expectDropped(receive(beginning(1).original.arrives(syn)), judged, "quota");
  });

  it("those that there are go on", () => {
    datapath.sessionEvents.set(judged.id, 10n);
    const known = beginning(7);
    track(namespace, known);
    const frame = known.original.arrives();
    expectPassed(receive(frame), frame, judged, "no_flow");
  });
});
