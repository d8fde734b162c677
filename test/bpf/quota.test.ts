// A tenant's limits in XDP: what the kernel would refuse for them is dropped, and nothing else is. See netfilter.test.ts.
import { afterAll, beforeEach, describe, it } from "vitest";
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
    [...entries.values()].filter(({ map }) => !["settings", "tunnels", "endpoints"].includes(map)),
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

describe("new connections a second", () => {
  const kinds: readonly (readonly [string, Buffer])[] = [
    ["a SYN", beginning(10_000).original.arrives(syn)],
    ["a UDP packet", beginning(10_000, "udp").original.arrives()],
    ["a TCP packet of no known connection", beginning(10_000).original.arrives({ tcpFlags: ["ack"] })],
  ];
  beforeEach(() => load({ newPerSecond: 1 }));

  it.each(kinds)("%s goes no further when there are as many as there may be", (_, frame) => {
    datapath.emptyBucket(judged.id);
    expectDropped(receive(frame), judged, "quota");
  });

  it.each(kinds)("%s goes up when there may be more, however often: the kernel's path alone counts", (_, frame) => {
    for (let n = 0; n < 20; n++) expectPassed(receive(frame), frame, judged, "no_flow");
  });

  it("a connection that conntrack knows is not asked for", () => {
    const known = beginning(7);
    track(namespace, known);
    datapath.emptyBucket(judged.id);
    const frame = known.original.arrives();
    expectPassed(receive(frame), frame, judged, "no_flow");
  });

  it("one tenant's flood takes nothing from another", () => {
    datapath.emptyBucket(judged.id);
    const other = { ...judged, id: 6, key: 6000, zone: 6 };
    world.addTenant(other);
    datapath.tenants.set(other.key, {
      ...{ id: other.id, zone: other.zone, wrap: 0, mtu: 1458, vrf_ifindex: namespace.veth[0] },
    });
    datapath.limits.set(other.id, { new_per_second: 1 });
    const frame = connectionOf({ tenant: other }).original.arrives(syn);
    expectPassed(receive(frame), frame, other, "no_flow");
  });

  describe("beyond a share", () => {
    beforeEach(() => {
      datapath.limits.set(judged.id, {});
      datapath.limits.set(0, { new_per_second: 1 });
      datapath.emptyBucket(judged.id);
    });

    it("a tenant has what is anybody's", () => {
      const frame = beginning(1).original.arrives(syn);
      expectPassed(receive(frame), frame, judged, "no_flow");
    });

    it("it has nothing more once that is used up", () => {
      datapath.emptyBucket(0);
      expectDropped(receive(beginning(1).original.arrives(syn)), judged, "quota");
    });

    it("it has nothing of that with a number of its own", () => {
      datapath.limits.set(judged.id, { new_per_second: 1 });
      expectDropped(receive(beginning(1).original.arrives(syn)), judged, "quota");
    });
  });

  it("no limit is no limit", () => {
    datapath.limits.set(judged.id, {});
    datapath.emptyBucket(judged.id);
    const frame = beginning(1).original.arrives(syn);
    expectPassed(receive(frame), frame, judged, "no_flow");
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
