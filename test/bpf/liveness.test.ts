// The fast path and conntrack: a flow keeps its entry alive, and ends when the entry has ended.
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { Datapath, jiffies, livenessJiffies, tcpTimeoutSeconds, udpTimeoutSeconds } from "./support/datapath.js";
import { expectPassed, expectSent } from "./support/expectations.js";
import {
  type EntryOptions,
  entryOf,
  makeNamespace,
  timeoutOf,
  track,
  trackFromServer,
  untrack,
} from "./support/kernel.js";
import {
  connectionOf,
  type EstablishOptions,
  stranger,
  type TestConnection,
  user1,
  user2,
  World,
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

/** More than liveness_jiffies. */
const longAgo = () => (jiffies() - 2 * livenessJiffies) >>> 0;
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

    describe("whose tuple another connection has by now", () => {
      /** Flows of one connection, with the entry of another that shares a tuple with it. */
      function replaced(options: EstablishOptions): TestConnection {
        const connection = quiet({ protocol });
        untrack(namespace);
        track(namespace, connectionOf({ protocol, ...options }));
        return connection;
      }

      it("goes up, when packets from outside would go to another host", () => {
        const { original } = replaced({ server: { address: "10.0.0.8", port: 2222 } });
        const frame = original.arrives();
        expectPassed(datapath.receive(frame, { netns }), frame, user1, "ct_gone");
      });

      it("goes up, when answers would leave from another port", () => {
        const { reply } = replaced({ publicEnd: { address: "2.2.2.11", port: 23 } });
        const frame = reply.arrives();
        expectPassed(datapath.receive(frame, { netns }), frame, user1, "ct_gone");
      });

      it("does not keep the other one's entry alive", () => {
        const { reply } = replaced({ publicEnd: { address: "2.2.2.11", port: 23 } });
        datapath.receive(reply.arrives(), { netns });
        expect(timeoutOf(namespace, protocol, user1.zone)).toBeLessThanOrEqual(100);
      });

      it("goes up, when the other side has begun that one", () => {
        const connection = quiet({ protocol });
        untrack(namespace);
        trackFromServer(namespace, connection);
        const frame = connection.original.arrives();
        expectPassed(datapath.receive(frame, { netns }), frame, user1, "ct_gone");
      });
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

describe("a UDP connection", () => {
  it("that goes on becomes ASSURED, as the kernel makes it", () => {
    const { original } = quiet({ protocol: "udp" });
    datapath.receive(original.arrives(), { netns });
    expect(entryOf(namespace, "udp", user1.zone)).toContain("[ASSURED]");
  });

  it("that has ended is not made anything", () => {
    const { original } = quiet({ protocol: "udp" }, { status: "UNSET" });
    datapath.receive(original.arrives(), { netns });
    expect(entryOf(namespace, "udp", user1.zone)).not.toContain("[ASSURED]");
  });
});

describe("a packet that opens or closes a TCP connection", () => {
  /** A connection whose flows have just asked, with its entry. */
  function lively(entry: EntryOptions = {}): TestConnection {
    const connection = world.establish();
    track(namespace, connection, entry);
    return connection;
  }

  for (const [flag, direction] of [
    ["fin", "original"],
    ["fin", "reply"],
    ["rst", "original"],
    ["rst", "reply"],
    ["syn", "original"],
  ] as const)
    describe(`${flag.toUpperCase()} of the ${direction} direction`, () => {
      for (const next of ["original", "reply"] as const) {
        it(`ends nothing that conntrack has established: the ${next} direction goes on`, () => {
          const connection = lively();
          datapath.receive(connection[direction].arrives({ tcpFlags: [flag, "ack"] }), { netns });
          const { [next]: flow } = connection;
          expectSent(datapath.receive(flow.arrives(), { netns }), user1, flow.leaves());
        });

        it(`ends both flows when conntrack has believed it, with the next packet of the ${next} direction`, () => {
          const { original, reply } = lively({ state: "CLOSE" });
          datapath.receive({ original, reply }[direction].arrives({ tcpFlags: [flag, "ack"] }), { netns });
          const frame = { original, reply }[next].arrives();
          expectPassed(datapath.receive(frame, { netns }), frame, user1, "ct_gone");
          expect([world.isFollowed(original), world.isFollowed(reply)]).toEqual([false, false]);
        });
      }
    });

  it("costs one question, and so do any number of them", () => {
    const { original } = lively();
    for (let time = 0; time < 5; time++) datapath.receive(original.arrives({ tcpFlags: ["rst"] }), { netns });
    expectSent(datapath.receive(original.arrives(), { netns }), user1, original.leaves());
    untrack(namespace);
    expectSent(datapath.receive(original.arrives(), { netns }), user1, original.leaves());
  });

  it("makes a flow that has not asked for long no older", () => {
    const { original } = quiet({});
    const { checked } = datapath.flows.get(original.key) ?? {};
    datapath.receive(original.arrives({ tcpFlags: ["rst"] }), { netns });
    expect(datapath.flows.get(original.key)?.checked).toBe(checked);
  });

  it("leaves the other tenant's equal connection alone", () => {
    const other = world.establish({ tenant: user2 });
    const { original } = lively();
    datapath.receive(original.arrives({ tcpFlags: ["rst"] }), { netns });
    for (const flow of [other.original, other.reply])
      expectSent(datapath.receive(flow.arrives(), { netns }), user2, flow.leaves());
  });

  it("makes nobody ask when a stranger has sent it", () => {
    const { original } = world.establish();
    datapath.receive(original.arrives({ tcpFlags: ["rst"] }, { src: stranger }), { netns });
    expectSent(datapath.receive(original.arrives(), { netns }), user1, original.leaves());
  });

  it("makes nobody ask when its flow is stale", () => {
    const { original } = world.establish();
    datapath.generations.set(user1.id, 1);
    datapath.receive(original.arrives({ tcpFlags: ["rst"] }), { netns });
    datapath.generations.set(user1.id, 0);
    expectSent(datapath.receive(original.arrives(), { netns }), user1, original.leaves());
  });
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
