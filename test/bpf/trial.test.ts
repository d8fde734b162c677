// What XDP would do with a packet is what it does, and to ask moves nothing.
import { createHash } from "node:crypto";
import { BpfMap, inNetNamespace } from "libbpf-ts";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { Trial, XdpTrial } from "../../src/datapath/trial.js";
import { ticksIn } from "../../src/kernel/clock.js";
import { datapathModules } from "./support/built.js";
import { Datapath, jiffies, livenessJiffies } from "./support/datapath.js";
import { makeNamespace, timeoutOf, track, untrack } from "./support/kernel.js";
import { padded, type TcpFlag } from "./support/packet.js";
import { forwardAll, judged, stateWith, type TestPolicy } from "./support/policy.js";
import { makeRandom } from "./support/random.js";
import {
  connectionOf,
  type Direction,
  macs,
  type Outer,
  type Segment,
  stranger,
  type TestConnection,
  user1,
  user2,
  World,
} from "./support/world.js";

/** In each of two gateways: one of tunnels alone, and one with an uplink on the same NIC. */
const packets = 2500;
/** Packets for which one state of the gateway stands: less than conntrack is asked in for each flow. */
const packetsOfAState = 10;

const namespace = makeNamespace();
const names = forwardAll(namespace);
const [nic, otherNic] = namespace.veth;
const uplink = { ifindex: nic, mac: macs.gateway, tags: [] };

describe.each([
  ["tunnels alone", {}],
  ["an uplink on the same NIC", { uplink }],
])("a gateway of %s", (_, sides) => {
  const hasUplink = "uplink" in sides;
  const datapath = new Datapath(sides, ticksIn(60));
  const world = new World(datapath);
  const trial: XdpTrial = new datapathModules.trial.XdpTrial(datapath.xdpProgram);
  afterAll(() => {
    trial.close();
    datapath[Symbol.dispose]();
  });

  const inside = { netns: namespace.path, ingressIfindex: nic };
  const explain = (frame: Buffer): Trial => inNetNamespace(namespace.path, () => trial.run(frame, nic));
  const summaryOf = ({ action, tenant, reason }: Trial) => `${action}, tenant ${tenant}: ${reason}`;

  const any = { from: 0, to: 0xffff_ffff };
  const tcp = { from: 6, to: 6 };
  const port = (number: number) => ({ from: number, to: number });
  /** Port 22 in but for 23; all but 22 out; one new connection a second. */
  const policy: TestPolicy = {
    inbound: [
      { verdict: "deny", protocol: tcp, address: any, ports: [port(23)] },
      { verdict: "allow", protocol: tcp, address: any, ports: [port(22)] },
    ],
    outbound: [
      { verdict: "deny", protocol: tcp, address: any, ports: [port(22)] },
      { verdict: "allow", protocol: tcp, address: any, ports: [{ from: 0, to: 65_535 }] },
    ],
    publicIps: [{ address: "2.2.2.11", to: "10.0.0.7" }],
    limits: { newPerSecond: 1 },
  };
  const policyEntries = [...stateWith(policy).entries.values()].filter(
    ({ map }) => !["settings", "tunnels", "endpoints"].includes(map),
  );

  /** Index of user1's tunnel. */
  const tunnel = 4711;

  beforeEach(() => {
    untrack(namespace);
    resetWorld();
  });

  function resetWorld(): void {
    world.reset();
    datapath.takeFrames(nic, macs.gateway);
    const { id, zone, mtu } = user1;
    datapath.tenants.set(user1.key, { id, zone, mtu, wrap: 0, tunnel_ifindex: tunnel });
    datapath.setNeighbour(tunnel, "10.0.0.7", macs.innerServer);
    inNetNamespace(namespace.path, () => datapath.nics.set(otherNic, otherNic));
    world.addTenant(judged);
    datapath.setEntries(policyEntries, names);
    datapath.fillBuckets();
    datapath.generations.set(judged.id, 0);
  }

  const syn = { tcpFlags: ["syn"] } as const;
  const opening = (publicPort: number, address = "2.2.2.11", plain = false) =>
    connectionOf({
      tenant: judged,
      plain,
      publicEnd: { address, port: publicPort },
      server: { address, port: publicPort },
    });

  /** A digest of each map of the program in force. */
  function contents(): Record<string, string> {
    const digests: Record<string, string> = {};
    for (const id of datapath.xdpProgram.info.mapIds) {
      using map = BpfMap.openById(id);
      if (map.type === "ringbuf") continue;
      const hash = createHash("sha256");
      if (map.name.endsWith("data") || map.name.endsWith("bss")) hash.update(map.get(Buffer.alloc(4)) ?? "");
      else for (const { keys, values } of map.batches()) hash.update(keys).update(values);
      digests[map.name] = hash.digest("hex");
    }
    return digests;
  }

  /** States in which XDP writes something, each with a packet that has it do so. */
  const moving: readonly (readonly [string, () => Buffer])[] = [
    ["is forwarded", () => world.establish({ ifindex: nic }).original.arrives()],
    ["ends a connection", () => world.establish({ ifindex: nic }).original.arrives({ tcpFlags: ["fin", "ack"] })],
    ["comes by another peer", () => world.establish({ ifindex: nic }).original.arrives({}, { src: "172.168.0.11" })],
    ["asks for a connection that has gone", () => dueFlow(world.establish({ ifindex: nic })).original.arrives()],
    ["asks for a way", () => askingFlow("named").arrives()],
    ["is sampled for a stale host", () => askingFlow("stale").arrives()],
    ["is denied by the policy", () => opening(23).original.arrives(syn)],
    ["is denied by no rule", () => opening(25).original.arrives(syn)],
    ["finds no room in the quota", () => emptied(opening(22).original.arrives(syn))],
    ["has a key of nobody's", () => connectionOf({}).original.arrives({}, { key: 4 })],
    ["is a stranger's", () => connectionOf({}).original.arrives({}, { src: stranger })],
    ["is the gateway's", () => Buffer.alloc(60)],
  ];

  function dueFlow(connection: TestConnection): TestConnection {
    world.change(connection.original, { checked: (jiffies() - livenessJiffies) >>> 0 });
    return connection;
  }

  /** A flow whose way is due, with one that was named before, or that was not. */
  function askingFlow(state: "named" | "stale"): Direction {
    const { original } = connectionOf({});
    const asked = (jiffies() - 2 * ticksIn(60)) >>> 0;
    world.follow(original, { ...original.encap(nic), asked, way: state === "named" ? nic : 0xffff_ffff });
    datapath.makeStale(tunnel, "10.0.0.7");
    return original;
  }

  function emptied(frame: Buffer): Buffer {
    datapath.emptyBucket(judged.id);
    return frame;
  }

  describe("to ask what becomes of a packet moves nothing:", () => {
    it.each(moving)("one that %s", (_, prepare) => {
      const frame = prepare();
      const before = contents();
      explain(frame);
      expect(contents()).toEqual(before);
      expect(datapath.events()).toEqual([]);
    });

    it.each(moving)("to send one that %s does move something", (_, prepare) => {
      const frame = prepare();
      const before = contents();
      datapath.runOnly(frame, inside);
      expect(contents()).not.toEqual(before);
    });

    it("conntrack's timeouts least of all", () => {
      const connection = dueFlow(world.establish({ ifindex: nic }));
      track(namespace, connection, { timeout: 77 });
      expect(summaryOf(explain(connection.original.arrives()))).toBe("tx, tenant 1: forwarded");
      expect(timeoutOf(namespace, "tcp", user1.zone)).toBeLessThanOrEqual(77);
      datapath.runOnly(connection.original.arrives(), inside);
      expect(timeoutOf(namespace, "tcp", user1.zone)).toBeGreaterThan(77);
    });
  });

  it("runs no other program than the one in force", () => {
    using other = datapathModules.objects.openFile("test-pass.bpf.o").load();
    const program = other.program(other.programs[0]?.name ?? "");
    expect(() => new datapathModules.trial.XdpTrial(program)).toThrow("another version's");
  });

  describe(`${packets} packets, explained first and received then`, () => {
    const random = makeRandom();
    const { integer, pick } = random;

    const clients = [1, 2, 3, 4, 5, 6].map((n) => ({ address: `1.1.1.${n}`, port: 40_000 + n }));
    const connections = clients.map((client, n) =>
      connectionOf({
        ...{ client, tenant: n % 2 === 0 ? user1 : user2, protocol: n < 4 ? "tcp" : "udp" },
        plain: hasUplink && n % 2 === 1,
      }),
    );

    /** Flows of some connections, each in some state. */
    function drawState(): void {
      resetWorld();
      const now = jiffies();
      const plain = hasUplink ? [connections[1], opening(22, "2.2.2.11", true)] : [];
      for (const connection of plain) if (connection) world.publish(connection);
      for (const connection of connections)
        for (const direction of [connection.original, connection.reply]) {
          if (integer(0, 5) === 0) continue;
          const asked = pick([now, now, (now - 2 * ticksIn(60)) >>> 0]);
          const encap = {
            ...direction.encap(pick([nic, nic, otherNic, 99])),
            ...{ asked, way: pick([0, nic, 0xffff_ffff]), unseen: integer(0, 5), sampled: integer(0, 255) },
            ...(integer(0, 9) === 0 ? { state: pick([3, 4]) } : {}),
            ...(integer(0, 9) === 0 ? { mtu: 60 } : {}),
          };
          world.follow(direction, encap, {
            ...(integer(0, 3) === 0 ? { checked: (now - livenessJiffies - integer(0, 1000)) >>> 0 } : {}),
            ...(integer(0, 9) === 0 ? { generation: 2 } : {}),
          });
        }
      if (integer(0, 1) === 0) datapath.emptyBucket(judged.id);
      if (integer(0, 2) === 0) datapath.makeStale(tunnel, "10.0.0.7");
      if (integer(0, 3) === 0) datapath.setNeighbour(tunnel, "10.0.0.7", pick([macs.client, undefined]));
      datapath.generations.set(judged.id, pick([0, 0, 0, 0, 1]));
    }

    function drawSegment(): Segment {
      const tcpFlags = pick<readonly TcpFlag[]>([["ack"], ["ack"], ["ack", "psh"], ["syn"], ["fin", "ack"], ["rst"]]);
      return {
        tcpFlags,
        ttl: pick([64, 64, 64, 2, 1]),
        tos: pick([0, 0, integer(0, 255)]),
        ...(integer(0, 15) === 0 ? { more: true } : {}),
        ...(integer(0, 15) === 0 ? { options: Buffer.alloc(4, 1) } : {}),
        payload: "x".repeat(pick([0, 5, 100])),
      };
    }

    function drawOuter(): Outer {
      return {
        tos: pick([0, 0, 1, 3]),
        ...(integer(0, 9) === 0 ? { src: pick([stranger, "172.168.0.11", "172.168.0.12"]) } : {}),
        ...(integer(0, 15) === 0 ? { key: pick([4, user1.key, user2.key]) } : {}),
        ...(integer(0, 20) === 0 ? { dstMac: macs.client } : {}),
        ...(integer(0, 20) === 0 ? { gre: { sequence: 7 } } : {}),
      };
    }

    function drawFrame(): Buffer {
      const beginnings = [opening(22), opening(23), opening(25), opening(22, "1.1.1.9"), opening(80, "1.1.1.9")];
      if (hasUplink) beginnings.push(...[22, 23, 25].map((number) => opening(number, "2.2.2.11", true)));
      const direction = pick([
        ...connections.flatMap(({ original, reply }) => [original, reply]),
        ...beginnings.map(({ original }) => original),
      ]);
      const frame = padded(direction.arrives(drawSegment(), drawOuter()), pick([0, 0, 0, 9]));
      if (integer(0, 30) === 0) return frame.subarray(0, Math.max(14, integer(0, frame.length)));
      if (integer(0, 30) === 0) frame[integer(0, frame.length - 1)] = integer(0, 255);
      return frame;
    }

    const denied = () =>
      Object.fromEntries(
        [...datapath.denials.entries()].map(([{ tenant, mark }, counts]) => [
          `tenant ${tenant}, mark ${mark}`,
          counts.reduce((sum, { packets: n }) => sum + n, 0n),
        ]),
      );

    it("meet the verdict, the reason, the rule and the rewriting that were told", () => {
      console.info(`XGW_TEST_SEED=${random.seed}`);
      for (const connection of connections.slice(0, 5))
        track(namespace, connection, { status: "SEEN_REPLY,ASSURED", timeout: 5000 });
      const met = new Map<string, number>();
      for (let n = 0; n < packets; n++) {
        if (n % packetsOfAState === 0) drawState();
        const frame = drawFrame();
        const told = explain(frame);
        const before = told.reason === "policy" ? denied() : {};
        const seen = datapath.receive(frame, inside);
        const where = `packet ${n} of XGW_TEST_SEED=${random.seed}: ${frame.toString("hex")}`;
        expect([summaryOf(told), told.frame.toString("hex")], where).toEqual([
          seen.summary,
          seen.frame.toString("hex"),
        ]);
        if (told.reason === "policy") {
          const rule = `tenant ${told.tenant}, mark ${told.examined.mark}`;
          expect(denied(), where).toEqual({ ...before, [rule]: (before[rule] ?? 0n) + 1n });
        }
        met.set(told.reason, (met.get(told.reason) ?? 0) + 1);
      }
      console.info([...met].map(([reason, n]) => `${n} ${reason}`).join(", "));
      const wanted = ["forwarded", "no_flow", "policy", "quota", "stranger", "unknown_key", "ct_gone", "template"];
      expect([...met.keys()]).toEqual(expect.arrayContaining(wanted));
    });
  });
});
