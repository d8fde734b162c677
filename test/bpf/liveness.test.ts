// The fast path and conntrack: a flow keeps its entry alive, and ends when the entry has ended.
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { Datapath, jiffies, tcpTimeoutSeconds, udpTimeoutSeconds } from "./support/datapath.js";
import { expectPassed, expectSent } from "./support/expectations.js";
import { type EntryOptions, makeNamespace, timeoutOf, track, untrack } from "./support/kernel.js";
import { type EstablishOptions, type TestConnection, user1, user2, World } from "./support/world.js";

const datapath = new Datapath();
afterAll(() => datapath[Symbol.dispose]());
const world = new World(datapath);
const namespace = makeNamespace();
const netns = namespace.path;
beforeEach(() => {
  world.reset();
  untrack(namespace);
});

/** More than liveness_jiffies, 1024. */
const longAgo = () => (jiffies() - 2000) >>> 0;
const timeouts = { tcp: tcpTimeoutSeconds, udp: udpTimeoutSeconds } as const;

/** A connection whose flows have not asked conntrack for a while; with its entry in the kernel. */
function quiet(options: EstablishOptions, entry: EntryOptions = {}): TestConnection {
  const connection = world.establish(options);
  track(namespace, connection, entry);
  for (const direction of [connection.original, connection.reply]) world.change(direction, { checked: longAgo() });
  return connection;
}

for (const protocol of ["tcp", "udp"] as const)
  describe(`a ${protocol} connection`, () => {
    for (const direction of ["original", "reply"] as const)
      it(`has its timeout refreshed by a packet of the ${direction} direction`, () => {
        const flow = quiet({ protocol })[direction];
        expectSent(datapath.receive(flow.arrives(), { netns }), user1, flow.leaves());
        const left = timeoutOf(namespace, protocol, user1.zone) ?? 0;
        expect(Math.abs(left - timeouts[protocol]), `seconds left are ${left}, off by`).toBeLessThanOrEqual(2);
      });

    it("is forwarded without asking when it has just asked", () => {
      const { original } = world.establish({ protocol });
      expectSent(datapath.receive(original.arrives(), { netns }), user1, original.leaves());
    });

    it("that conntrack no longer has goes up", () => {
      const { original } = quiet({ protocol });
      untrack(namespace);
      const frame = original.arrives();
      expectPassed(datapath.receive(frame, { netns }), frame, user1, "ct_gone");
    });

    it("that conntrack no longer has loses both flows", () => {
      const { original, reply } = quiet({ protocol });
      untrack(namespace);
      datapath.receive(reply.arrives(), { netns });
      expect([world.isFollowed(original), world.isFollowed(reply)]).toEqual([false, false]);
    });

    it("that another zone has is not this one", () => {
      const { original } = quiet({ protocol }, { zone: user2.zone });
      const frame = original.arrives();
      expectPassed(datapath.receive(frame, { netns }), frame, user1, "ct_gone");
    });

    it("that nobody has answered is not established", () => {
      const { original } = quiet({ protocol }, { status: "UNSET" });
      const frame = original.arrives();
      expectPassed(datapath.receive(frame, { netns }), frame, user1, "ct_gone");
    });
  });

for (const state of ["SYN_RECV", "FIN_WAIT", "CLOSE_WAIT", "TIME_WAIT", "CLOSE"])
  it(`a TCP connection in ${state} is the kernel's`, () => {
    const { original } = quiet({ protocol: "tcp" }, { state });
    const frame = original.arrives();
    expectPassed(datapath.receive(frame, { netns }), frame, user1, "ct_gone");
  });

it("the time of the question is noted, so that the next packets do not ask", () => {
  const { original } = quiet({});
  const before = jiffies();
  datapath.receive(original.arrives(), { netns });
  const checked = datapath.flows.get(original.key)?.checked ?? 0;
  expect((checked - before) >>> 0, "jiffies between this test's look and flow.checked").toBeLessThan(2000);
});

it("a clock that has gone round since the last question still asks", () => {
  const { original } = quiet({});
  world.change(original, { checked: (jiffies() + 2 ** 31) >>> 0 });
  untrack(namespace);
  const frame = original.arrives();
  expectPassed(datapath.receive(frame, { netns }), frame, user1, "ct_gone");
});

it("a declined packet does not keep the entry alive", () => {
  const { original } = quiet({}, { timeout: 50 });
  datapath.receive(original.arrives({ ttl: 1 }), { netns });
  expect(timeoutOf(namespace, "tcp", user1.zone)).toBeLessThanOrEqual(50);
});

it("the two deaths of a connection that has gone are told as events", () => {
  const { original } = quiet({});
  untrack(namespace);
  datapath.receive(original.arrives(), { netns });
  const [flowDied, ctGone] = [2, 12];
  expect(datapath.events().map(({ kind, reason }) => [kind, reason])).toEqual([
    [flowDied, ctGone],
    [flowDied, ctGone],
  ]);
});
