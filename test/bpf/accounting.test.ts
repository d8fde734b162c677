// Accounting: each packet that is forwarded is counted once, under its tenant, its connection's rule and the tier that
// carried it, whatever happens to the connection meanwhile.
import { mkdirSync, rmSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { rulePool, ruleSlots } from "../../src/model/desired.js";
import { Datapath, type RuleCount, underlayAddress } from "./support/datapath.js";
import { makeNamespace, track, untrack } from "./support/kernel.js";
import * as packet from "./support/packet.js";
import { startWorker } from "./support/worker.js";
import { connectionOf, macs, testRunIfindex, user1, user2, World, wrapped } from "./support/world.js";

const datapath = new Datapath();
afterAll(() => datapath[Symbol.dispose]());
const world = new World(datapath);
const namespace = makeNamespace();
const netns = namespace.path;

let before: Record<number, Record<number, RuleCount>>;
beforeEach(() => {
  world.reset();
  untrack(namespace);
  before = countsNow();
});

const countsNow = () => ({ 1: datapath.forwarded(1), 2: datapath.forwarded(2), 3: datapath.forwarded(3) });

/** What has been forwarded for a tenant since the test began: `packets/bytes` by mark and tier. */
function counted(tenant = user1.id): Record<number, Record<string, string>> {
  const result: Record<number, Record<string, string>> = {};
  for (const [mark, count] of Object.entries(datapath.forwarded(tenant)))
    for (const [tier, { packets, bytes }] of Object.entries(count) as [
      keyof RuleCount,
      { packets: number; bytes: number },
    ][]) {
      const was = before[tenant]?.[Number(mark)]?.[tier] ?? { packets: 0, bytes: 0 };
      if (packets > was.packets)
        result[Number(mark)] = { ...result[Number(mark)], [tier]: `${packets - was.packets}/${bytes - was.bytes}` };
    }
  return result;
}

/** By tier, over all rules. */
function packetsOf(tenant = user1.id): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const tiers of Object.values(counted(tenant)))
    for (const [tier, count] of Object.entries(tiers)) sums[tier] = (sums[tier] ?? 0) + Number(count.split("/")[0]);
  return sums;
}

/** The mark of a packet that the stack has forwarded, and of one that the gateway has made itself. */
const byStack = (mark: number) => 0x4000_0000 + mark;
const own = 0x2000_0000;
const outbound = 0x1_0000;

const transmit = (frame: Buffer, mark = 0, gsoSize = 0) =>
  datapath.transmit(frame, netns, testRunIfindex, {
    mark,
    gsoSize,
    generation: datapath.generations.get(user1.id) ?? 0,
  });

describe("what the kernel sends", () => {
  for (const tenant of [user1, user2])
    it(`by the stack counts under the mark that it bears, in ${tenant.wrap}`, () => {
      const { original } = connectionOf({ tenant });
      transmit(original.leaves({ payload: "12345" }), byStack(3));
      transmit(original.leaves({ payload: "1234567" }), byStack(outbound + 3));
      expect(counted(tenant.id)).toEqual({ 3: { stack: "1/45" }, [outbound + 3]: { stack: "1/47" } });
    });

  it("by the flowtable counts under its connection's mark", () => {
    const connection = connectionOf({});
    track(namespace, connection, { mark: 7 });
    transmit(connection.original.leaves({ payload: "12345" }));
    transmit(connection.reply.leaves({ payload: "" }));
    expect(counted()).toEqual({ 7: { flowtable: "2/85" } });
  });

  it("by the flowtable after its connection is gone counts for the tenant", () => {
    transmit(connectionOf({}).original.leaves({ payload: "12345" }));
    expect(counted()).toEqual({ 0: { flowtable: "1/45" } });
  });

  it("for a connection that no rule had to admit counts for the tenant", () => {
    transmit(connectionOf({}).original.leaves({ payload: "12345" }), byStack(0));
    expect(counted()).toEqual({ 0: { stack: "1/45" } });
  });

  it("of its own is forwarded for nobody", () => {
    transmit(connectionOf({}).original.leaves(), own);
    expect(counted()).toEqual({});
  });

  it("counts when it is neither TCP nor UDP", () => {
    const inner = packet.ipv4({ src: "1.1.1.7", dst: "10.0.0.7" }, raw(1, 64));
    transmit(tunnelled(inner), byStack(2));
    expect(counted()).toEqual({ 2: { stack: "1/84" } });
  });

  it("counts when it is a fragment, the later ones as well", () => {
    const { original } = connectionOf({ protocol: "udp" });
    transmit(original.leaves({ more: true, payload: Buffer.alloc(1000) }), byStack(2));
    const rest = packet.ipv4({ src: "1.1.1.7", dst: "10.0.0.7", offset: 1008 }, raw(17, 4));
    transmit(tunnelled(rest), byStack(2));
    expect(counted()).toEqual({ 2: { stack: "2/1052" } });
  });

  it("counts when it has IP options", () => {
    const { original } = connectionOf({});
    transmit(original.leaves({ options: Buffer.alloc(4, 1), payload: "" }), byStack(2));
    expect(counted()).toEqual({ 2: { stack: "1/44" } });
  });

  for (const [protocol, headers] of [
    ["tcp", 20 + 20],
    ["udp", 20 + 8],
  ] as const)
    for (const [payload, pieces] of [
      [3000, 3],
      [3001, 4],
      [2001, 3],
    ] as const)
      it(`in one piece counts as the packets on the wire: ${payload} bytes of ${protocol} by 1000`, () => {
        const { original } = connectionOf({ protocol });
        transmit(original.leaves({ payload: Buffer.alloc(payload) }), byStack(2), 1000);
        expect(counted()).toEqual({ 2: { stack: `${pieces}/${payload + pieces * headers}` } });
      });

  it("with TCP options in one piece counts them in each packet", () => {
    const { original } = connectionOf({});
    transmit(original.leaves({ payload: Buffer.alloc(1500), tcpOptions: Buffer.alloc(12, 1) }), byStack(2), 1000);
    expect(counted()).toEqual({ 2: { stack: `2/${1500 + 2 * 52}` } });
  });

  it("under a key that no tenant has counts for nobody", () => {
    world.removeTenant(user1);
    transmit(connectionOf({}).original.leaves(), byStack(2));
    expect([counted(1), counted(2), counted(3)]).toEqual([{}, {}, {}]);
  });
});

describe("what XDP sends", () => {
  it("counts under the rule that had admitted the connection", () => {
    const connection = connectionOf({});
    track(namespace, connection, { mark: outbound + 7 });
    transmit(connection.original.leaves(), byStack(outbound + 7));
    const outcome = datapath.receive(connection.original.arrives({ payload: "12345" }), { netns });
    expect([outcome.summary, counted()]).toEqual([
      "tx, tenant 1: forwarded",
      { [outbound + 7]: { stack: "1/49", xdp: "1/45" } },
    ]);
  });

  it("counts without the padding of a short frame", () => {
    const { original } = world.establish();
    datapath.receive(Buffer.concat([original.arrives({ payload: "" }), Buffer.alloc(6)]));
    expect(counted()).toEqual({ 0: { xdp: "1/40" } });
  });
});

it("equal marks of two tenants are two rules", () => {
  for (const tenant of [user1, user2]) transmit(connectionOf({ tenant }).original.leaves({ payload: "" }), byStack(5));
  transmit(connectionOf({ tenant: user2 }).original.leaves({ payload: "" }), byStack(5));
  expect([counted(user1.id), counted(user2.id)]).toEqual([{ 5: { stack: "1/40" } }, { 5: { stack: "2/80" } }]);
});

it("a rule that finds no slot counts for its tenant", () => {
  const slots = Array.from({ length: 32768 - 8192 }, (_, n) => 8192 + n);
  const taken = slots.filter((slot) => (datapath.rules.get(slot) ?? 0n) === 0n);
  const somebodyElse = (4000n << 32n) | 1n;
  try {
    for (const slot of taken) datapath.rules.set(slot, somebodyElse);
    transmit(connectionOf({}).original.leaves({ payload: "" }), byStack(4711));
  } finally {
    for (const slot of taken) datapath.rules.set(slot, 0n);
  }
  expect(counted()).toEqual({ 0: { stack: "1/40" } });
});

it("each rule in a tenant's share finds a slot, wherever those of others lie that have all that they may have", () => {
  const [share, firstSlot] = [30, 8192];
  // Three slots of four: those that are free lie together as well.
  const others = Array.from({ length: ruleSlots }, (_, n) => firstSlot + n)
    .filter((slot) => slot % 256 < 192 && (datapath.rules.get(slot) ?? 0n) === 0n)
    .slice(0, rulePool + ruleSlots / 2 - share);
  const marks = Array.from({ length: share }, (_, n) => 5000 + n);
  datapath.limits.set(0, { rules: share });
  datapath.usages.rule.set(user1.id, 0n);
  datapath.usages.rule.set(0, BigInt(others.length));
  for (const slot of others) datapath.rules.set(slot, (4000n << 32n) | 1n);
  try {
    for (const mark of marks) transmit(connectionOf({}).original.leaves({ payload: "" }), byStack(mark));
  } finally {
    for (const slot of others) datapath.rules.set(slot, 0n);
  }
  expect(marks.filter((mark) => !(mark in counted()))).toEqual([]);
});

describe("N packets in, the sums over tiers and reasons equal N", () => {
  /** Sends as the client does: what XDP gives up, the kernel sends by the tier, and the learner sees. */
  function send(connection: ReturnType<typeof connectionOf>, packets: number, mark: number, segment = {}): void {
    for (let n = 0; n < packets; n++) {
      const { verdict } = datapath.runOnly(connection.original.arrives(segment), { netns });
      if (verdict === "pass") transmit(connection.original.leaves(segment), mark);
    }
  }

  const receivedBy = (tenant: number) =>
    datapath.reasonsOf(tenant).reduce((sum, { packets }) => sum + packets, 0) +
    Object.values(datapath.forwarded(tenant)).reduce((sum, { xdp }) => sum + (xdp?.packets ?? 0), 0);

  it("through promotion, demotion, promotion again and close", () => {
    const connection = connectionOf({});
    const received = receivedBy(user1.id);
    track(namespace, connection, { mark: 7, state: "SYN_RECV" });
    send(connection, 3, byStack(7)); // no answer yet: not learned
    untrack(namespace);
    track(namespace, connection, { mark: 7 });
    send(connection, 100, byStack(7)); // the first one teaches the flow
    datapath.generations.set(user1.id, 2);
    send(connection, 50, 0); // the first one is the flowtable's, and teaches it anew
    for (let n = 0; n < 20; n++) transmit(connection.original.leaves(), 0); // without XDP on the NIC
    send(connection, 1, byStack(7), { tcpFlags: ["fin", "ack"] }); // makes the flow ask, and conntrack still has it
    send(connection, 4, byStack(7));
    untrack(namespace);
    send(connection, 2, byStack(7), { tcpFlags: ["rst"] });
    expect(packetsOf()).toEqual({ stack: 3 + 1 + 1 + 2, flowtable: 1 + 20, xdp: 99 + 49 + 4 });
    expect(receivedBy(user1.id) - received).toBe(3 + 100 + 50 + 1 + 4 + 2);
    expect(Object.keys(counted())).toEqual(["7"]);
  });

  it("when several CPUs carry one flow at the same time", async () => {
    const times = 20_000;
    const connection = connectionOf({});
    track(namespace, connection, { mark: 9 });
    transmit(connection.original.leaves({ payload: "" }), byStack(9));
    const pins = `/sys/fs/bpf/xgw-accounting-${process.pid}`;
    mkdirSync(pins);
    try {
      datapath.xdpProgram.pin(`${pins}/program`);
      const frame = connection.original.arrives({ payload: "" }).toString("hex");
      const runner = fileURLToPath(new URL("support/run-same.mjs", import.meta.url));
      const workers = [0, 1, 2, 3].map((n) =>
        startWorker("nsenter", [
          ...[`--net=${netns}`, "taskset", "-c", String(n % cpus().length)],
          ...[process.execPath, runner, `${pins}/program`, frame, String(times)],
        ]),
      );
      await Promise.all(workers.map(({ ready }) => ready));
      for (const worker of workers) worker.go();
      const xdpTx = "3";
      for (const { output } of workers) expect(JSON.parse(await output)).toEqual({ [xdpTx]: times });
    } finally {
      rmSync(pins, { recursive: true });
    }
    expect(counted()).toEqual({ 9: { stack: "1/40", xdp: `${4 * times}/${4 * times * 40}` } });
  });
});

/** So many bytes of a protocol, without a header. */
const raw = (protocol: number, length: number): packet.Transport => ({ protocol, bytes: () => Buffer.alloc(length) });

/** An inner packet as the kernel sends it to user1's server. */
function tunnelled(inner: Buffer): Buffer {
  const eth = { src: macs.innerGateway, dst: macs.innerServer };
  const ip = { src: underlayAddress, dst: "172.168.0.11", id: 0, ttl: 64 };
  return packet.ethernet(
    { src: macs.gateway, dst: macs.server },
    packet.ipv4(ip, wrapped(user1.wrap, { key: user1.key }, eth, inner)),
  );
}

describe("what a tenant may have of the slots of rules", () => {
  const marks = [201, 202, 203, 204];
  /** The slots that are whose comes first. */
  const poolIsTaken = () => datapath.usages.rule.set(0, BigInt(rulePool));
  const forwardEach = (tenant = user1, from = 0) => {
    for (const mark of marks)
      transmit(connectionOf({ tenant }).original.leaves({ payload: "12345" }), byStack(from + mark));
  };

  it("is its share when others have the rest: what is more is counted with its own rest, none is lost", () => {
    datapath.limits.set(0, { rules: 2 });
    poolIsTaken();
    forwardEach();
    expect(counted()).toEqual({ 201: { stack: "1/45" }, 202: { stack: "1/45" }, 0: { stack: "2/90" } });
    expect(datapath.losses.get(user1.id)?.rules_refused).toBe(2n);
  });

  it("is not less because another tenant has all of its own", () => {
    datapath.limits.set(0, { rules: 2 });
    poolIsTaken();
    forwardEach(user1, 100);
    forwardEach(user2);
    expect(Object.keys(counted(user2.id))).toEqual(["0", "201", "202"]);
  });

  it("is more than its share while nobody else has much", () => {
    datapath.limits.set(0, { rules: 2 });
    forwardEach(user1, 200);
    expect(Object.keys(counted())).toEqual(["401", "402", "403", "404"]);
  });
});
