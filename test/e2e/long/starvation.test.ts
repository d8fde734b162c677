// Each resource of docs/limits.md that packets take: one tenant asks for ten times its share of it, and another, which needs
// half of its own, does not notice. Elsewhere: the daemon's work (life/fairness.test.ts); pieces and pages of policies, which
// are refused with the config (unit/config/check.test.ts).
import { setTimeout as sleep } from "node:timers/promises";
import { BpfMap, inNetNamespace, RingBuffer } from "libbpf-ts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { checkConfigValue } from "../../../src/config/load.js";
import { Interest } from "../../../src/daemon/interest.js";
import { NeighbourMemory } from "../../../src/daemon/neighbour-memory.js";
import { readReasons } from "../../../src/datapath/counters.js";
import { littleEndian, u32 } from "../../../src/datapath/layout.js";
import { Pins } from "../../../src/datapath/pins.js";
import { type Losses, readLosses, type Table } from "../../../src/datapath/usage.js";
import { redecide } from "../../../src/gateway.js";
import { type KernelEvent, type KernelMonitor, monitorKernel } from "../../../src/kernel/monitor.js";
import { buildDesired } from "../../../src/model/build.js";
import { nobody, ruleSlots, templatePlaces } from "../../../src/model/desired.js";
import { type Resource, resources } from "../../../src/model/shares.js";
import { routeProtocol } from "../../../src/plan/owner.js";
import { run } from "../../../vm/lab/netns.js";
import { arp, etherType, gre, ipv4, raw as rawBytes, tcp, udp } from "../../bpf/support/packet.js";
import { beginning, type Carried, type Conversation, Conversations } from "../support/conversations.js";
import { type End, gatewayAddress, macOf, RawGateway } from "../support/raw-gateway.js";

/** Tenant ids go by the order in the config. */
const [hostile, victim] = [1, 2] as const;
const keys = { [hostile]: 1000, [victim]: 2000 } as const;
const [hostileHosts, victimHosts]: readonly [End, End] = [
  { kind: "gretap", key: keys[hostile], endpoint: "172.168.0.11" },
  { kind: "gretap", key: keys[victim], endpoint: "172.168.0.12" },
];
const farSide = "172.168.0.7";
const farOf = (tenant: 1 | 2): End => ({ kind: "gretap", key: keys[tenant], endpoint: farSide });
const [host, far] = ["10.0.0.7", "1.1.1.7"];

/** What the kernel's table holds in all where it is what tenants want, so that it is full when all that is promised is taken. */
const kernelHolds = { sessions: 1024, neighbours: 128 };

const configOf = ({ limits = "", of = {} }: Pick<Story, "limits" | "of">) => `apiVersion: xgw/v1
instance: raw
underlay: { device: eth0, address: ${gatewayAddress} }
flows: ${flowPlaces / 2}
limits: { ${limits} }
tenants:
  - name: hostile
    key: ${keys[hostile]}
    addresses: [10.0.0.1/24]
    routes: [{ to: 10.0.0.0/16, via: ${hostileHosts.endpoint} }, { to: 1.1.0.0/16, via: ${farSide} }]
    ${of[hostile] ?? ""}
  - name: victim
    key: ${keys[victim]}
    addresses: [10.0.0.1/24]
    routes: [{ to: 10.0.0.0/16, via: ${victimHosts.endpoint} }, { to: 1.1.0.0/16, via: ${farSide} }]
    ${of[victim] ?? ""}
`;

interface Story {
  /** As in docs/limits.md. */
  readonly resource: string;
  /** Of the gateway, and of tenants: YAML. */
  readonly limits?: string;
  readonly of?: { readonly [hostile]?: string; readonly [victim]?: string };
  /** Sizes of the kernel's tables. */
  readonly sysctls?: Readonly<Record<string, number>>;
  /** What there is for whoever comes has gone to others. */
  readonly poolTaken?: readonly [table: Table, places: number];
  /** The victim's connections, half of its share: so many before the flood, and so many in the middle of it. */
  readonly live: number;
  readonly fresh: number;
  readonly conversation?: (n: number) => Conversation;
  /** Of the hostile tenant: one slice of so much that all of them are ten times its share. */
  readonly flood: (slice: number) => Promise<unknown>;
  /** The places or times that the hostile tenant asked for, and of which it may have got so many. */
  readonly asked: number;
  readonly got: (seconds: number) => number;
  /** What it was refused, as it is counted. */
  readonly refused: () => number;
  /** With the share taken out of the map the victim does suffer. */
  readonly lifted?: {
    readonly share: Resource;
    readonly suffers: (victim: Seen) => boolean;
    /** Less, or others, may do. */
    readonly flood?: Story["flood"];
    readonly conversation?: NonNullable<Story["conversation"]>;
  };
}

interface Seen {
  readonly tried: number;
  readonly begun: number;
  readonly live: Carried;
}

const slices = 4;
/** Of the table: twice as many as the config has `flows`. */
const flowPlaces = 2 * 1024;
const pins = new Pins("raw");
const quotaOf = (tenant: number) => reasonOf(tenant, "quota");
const reasonOf = (tenant: number, reason: string) => readReasons(pins, [tenant]).get(tenant)?.[reason]?.packets ?? 0;
const lossesOf = (tenant: number) => readLosses(pins, [tenant]).get(tenant) as Losses;

let raw: RawGateway;
let events: RingBuffer;

beforeAll(async () => {
  raw = await RawGateway.start({
    config: configOf({}),
    endpoints: [farSide, hostileHosts.endpoint, victimHosts.endpoint],
    neighbours: {},
  });
  using map = BpfMap.openPinned(pins.map("events"));
  events = new RingBuffer(map);
});
afterAll(async () => {
  events?.close();
  await raw[Symbol.asyncDispose]();
});

/** Of the whole machine, and not the gateway's alone: this network namespace is the first one. Gives what they were. */
async function setSysctls(values: Readonly<Record<string, number>>): Promise<Record<string, number>> {
  const before: Record<string, number> = {};
  for (const [name, value] of Object.entries(values)) {
    before[name] = Number(await run("sysctl", ["-n", name]));
    await run("sysctl", ["-qw", `${name}=${value}`]);
  }
  return before;
}

/** Hosts that do not exist. */
const isThere = (address: string) => !address.startsWith("10.0.9");
const absent = (at: number) => `10.0.${90 + (at >> 8)}.${at & 255}`;
const times = <T>(count: number, of: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => of(n));
const toFar = (n: number): Conversation => ({ client: host, server: far, sport: 10_000 + n, dport: 80 });
const toManyHosts = (n: number): Conversation => ({ ...toFar(n), server: `1.1.2.${n + 1}` });

/** Of the hostile tenant. */
const send = (packets: readonly Buffer[]) =>
  raw.carry(
    packets.map((packet) => raw.frame(hostileHosts, packet)),
    isThere,
  );
const connect = (conversations: readonly Conversation[]) =>
  new Conversations(raw, hostileHosts, farOf(hostile)).begin(conversations);

/** Datagrams there, back and there again: two flows each, which no FIN ends. */
const converse = (conversations: readonly Conversation[]) => {
  const datagram = (from: End, src: string, dst: string, sport: number, dport: number) =>
    raw.frame(from, ipv4({ src, dst }, udp({ sport, dport, checksum: false })));
  const there = conversations.map(({ client, server, sport, dport }) =>
    datagram(hostileHosts, client, server, sport, dport),
  );
  const back = conversations.map(({ client, server, sport, dport }) =>
    datagram(farOf(hostile), server, client, dport, sport),
  );
  return raw.carry([...there, ...back, ...there]);
};

/** Packets of every shape that each begin a connection. */
const shapes: readonly ((n: number) => readonly Buffer[])[] = [
  (n) => [beginning(toFar(n))],
  (n) => [
    ipv4(
      { src: host, dst: far, options: Buffer.from([1, 1, 1, 1]) },
      tcp({ sport: 20_000 + n, dport: 80, flags: ["syn"] }),
    ),
  ],
  (n) => [ipv4({ src: host, dst: far }, udp({ sport: 30_000 + n, dport: 53 }))],
  (n) => {
    const whole = udp({ sport: 40_000 + n, dport: 53, payload: Buffer.alloc(16) }).bytes(host, far);
    const piece = (bytes: Buffer, more: boolean, offset: number) =>
      ipv4({ src: host, dst: far, df: false, id: n, more, offset }, rawBytes(17, bytes));
    return [piece(whole.subarray(0, 16), true, 0), piece(whole.subarray(16), false, 16)];
  },
];

/** A host that asks for the gateway, and so is known from then on. */
const arpFrom = (sender: string, { key, endpoint }: End = hostileHosts, senderMac = macOf(sender)): Buffer => {
  const [targetMac, target] = ["00:00:00:00:00:00", "10.0.0.1"];
  const request = arp({ operation: "request", senderMac, sender, targetMac, target });
  const payload = gre({ type: etherType.bridged, key }, request);
  return raw.outerFrame(ipv4({ src: endpoint, dst: gatewayAddress }, payload));
};

const stories: readonly Story[] = [
  {
    resource: "header templates",
    of: { [hostile]: "limits: { templates: 8 }", [victim]: "limits: { templates: 20 }" },
    poolTaken: ["encap", templatePlaces / 2],
    live: 4,
    fresh: 4,
    conversation: toManyHosts,
    flood: (slice) => converse(times(20, (n) => toManyHosts(20 * slice + n))),
    asked: 80,
    got: () => 8,
    refused: () => lossesOf(hostile).templatesRefused,
  },
  {
    resource: "slots of rules",
    of: {
      [hostile]: `limits: { rules: 8 }
    policy: { outbound: [${times(80, (n) => `{ allow: udp, ports: [${6000 + n}] }`).join(", ")}] }`,
      [victim]: `limits: { rules: 8 }
    policy: { outbound: [${times(4, (n) => `{ allow: tcp, ports: [${8000 + n}] }`).join(", ")}] }`,
    },
    poolTaken: ["rule", ruleSlots / 2],
    live: 16,
    fresh: 16,
    conversation: (n) => ({ ...toFar(n), dport: 8000 + (n % 4) }),
    flood: (slice) => converse(times(20, (n) => ({ ...toFar(n), dport: 6000 + 20 * slice + n }))),
    asked: 80,
    got: () => 8,
    refused: () => lossesOf(hostile).rulesRefused,
  },
  {
    resource: "places in the events ring",
    of: { [hostile]: "limits: { eventsPerSecond: 10 }", [victim]: "limits: { eventsPerSecond: 60 }" },
    live: 12,
    fresh: 12,
    flood: (slice) => converse(times(100, (n) => toFar(100 * slice + n))),
    asked: 800,
    got: (seconds) => 10 * (seconds + 1),
    refused: () => lossesOf(hostile).eventsLost,
  },
  {
    resource: "new connections a second",
    limits: "newPerSecond: 40",
    live: 10,
    fresh: 8,
    flood: (slice) => send(times(250, (n) => beginning(toFar(1000 + 250 * slice + n)))),
    asked: 1000,
    got: (seconds) => 20 * (seconds + 1),
    refused: () => quotaOf(hostile),
  },
  {
    resource: "conntrack entries",
    limits: `sessions: ${kernelHolds.sessions}`,
    sysctls: { "net.netfilter.nf_conntrack_max": kernelHolds.sessions },
    live: 64,
    fresh: 64,
    flood: async (slice) => {
      await connect(times(280, (n) => toFar(2000 + 280 * slice + n)));
      for (const shape of shapes) await send(times(90, (n) => shape(4000 + 90 * slice + n)).flat());
    },
    asked: slices * 640,
    got: () => kernelHolds.sessions / 2,
    refused: () => quotaOf(hostile),
    lifted: {
      share: "sessions",
      suffers: ({ tried, begun }) => begun < tried,
      flood: (slice) => connect(times(280, (n) => toFar(2000 + 280 * slice + n))),
    },
  },
  {
    resource: "neighbour entries",
    limits: `neighbours: ${kernelHolds.neighbours}`,
    sysctls: {
      "net.ipv4.neigh.default.gc_thresh2": kernelHolds.neighbours + 16,
      "net.ipv4.neigh.default.gc_thresh3": kernelHolds.neighbours + 16,
    },
    live: 7,
    fresh: 8,
    conversation: toManyHosts,
    flood: async (slice) => {
      await send(times(60, (n) => ipv4({ src: host, dst: absent(60 * slice + n) }, udp({ sport: 7, dport: 7 }))));
      await raw.carry(times(20, (n) => arpFrom(`10.0.0.${20 + 20 * slice + n}`)));
    },
    asked: 320,
    got: () => kernelHolds.neighbours / 2,
    refused: () => reasonOf(hostile, "neighbours"),
    lifted: { share: "neighbours", suffers: ({ tried, begun }) => begun < tried },
  },
  {
    resource: "lines of the flow table",
    of: { [hostile]: "limits: { flows: 256 }", [victim]: "limits: { flows: 256 }" },
    live: 32,
    fresh: 32,
    // The table is full from the first slice on.
    flood: (slice) =>
      converse(slice === 0 ? times(flowPlaces / 2, toFar) : times(100, (n) => toFar(flowPlaces / 2 + 100 * slice + n))),
    asked: flowPlaces + 2 * 100 * (slices - 1),
    got: () => flowPlaces,
    refused: () => lossesOf(hostile).flowsRefused + lossesOf(hostile).flowsEvicted,
    lifted: {
      share: "flows",
      suffers: ({ live }) => live.byXdp < 0.99 * live.packets,
      conversation: (n) => toFar(1000 + n), // for those of before have their places still
    },
  },
];

/** A tenant id's field of the limits becomes 0, "there is none". */
function lift(share: Resource): void {
  using limits = BpfMap.openPinned(pins.map("limits"));
  for (const tenant of [nobody, hostile, victim]) {
    const value = limits.get(u32(tenant)) ?? Buffer.alloc(limits.valueSize);
    value.fill(0, resources.indexOf(share) * 4, resources.indexOf(share) * 4 + 4);
    limits.set(u32(tenant), value);
  }
}

/** All that there is for whoever comes is others'. */
function takePool([table, places]: NonNullable<Story["poolTaken"]>): void {
  using usage = BpfMap.openPinned(pins.map(`${table}_usage`));
  const value = Buffer.alloc(8);
  littleEndian ? value.writeBigInt64LE(BigInt(places)) : value.writeBigInt64BE(BigInt(places));
  usage.set(u32(nobody), value);
}

/** As after a start: nothing is under way. */
async function rest(): Promise<void> {
  await raw.gateway.run("conntrack", "-F");
  await redecide("raw", [hostile, victim]);
  for (const key of Object.values(keys)) await raw.gateway.tryRun("ip", "neigh", "flush", "dev", `xgre${key}`);
  await sleep(1100); // buckets of so many a second are full again
  drainEvents();
}

/** Flows of the victim that were told of as born since the last look. */
function drainEvents(): number {
  const [tenantAt, kindAt, flowBorn] = [28, 36, 1];
  let born = 0;
  for (let some: Buffer[]; ; ) {
    some = events.take(4096);
    if (some.length === 0) return born;
    const [tenantOf, kindOf] = littleEndian
      ? [(event: Buffer) => event.readUInt32LE(tenantAt), (event: Buffer) => event.readUInt16LE(kindAt)]
      : [(event: Buffer) => event.readUInt32BE(tenantAt), (event: Buffer) => event.readUInt16BE(kindAt)];
    born += some.filter((event) => tenantOf(event) === victim && kindOf(event) === flowBorn).length;
  }
}

/** Four slices: the flood, then some new connections, then a packet each way of all that are live. */
async function play(story: Story): Promise<Seen & { readonly seconds: number }> {
  const { live, fresh, conversation = toFar, flood } = story;
  const conversations = new Conversations(raw, victimHosts, farOf(victim));
  const first = await conversations.begin(times(live, conversation));
  if (first.begun < first.tried) throw new Error(`only ${first.begun} of ${first.tried} began before the flood`);
  const started = performance.now();
  const seen = { tried: 0, begun: 0, live: { packets: 0, lost: 0, byXdp: 0 } };
  for (let slice = 0; slice < slices; slice++) {
    await flood(slice);
    const some = times(fresh / slices, (n) => conversation(live + (slice * fresh) / slices + n));
    const { tried, begun } = await conversations.begin(some);
    const { packets, lost, byXdp } = await conversations.goOn();
    seen.tried += tried;
    seen.begun += begun;
    seen.live.packets += packets;
    seen.live.lost += lost;
    seen.live.byXdp += byXdp;
  }
  return { ...seen, seconds: (performance.now() - started) / 1000 };
}

describe.each(stories)("$resource: one tenant asks for ten times its share", (story) => {
  let seen: Awaited<ReturnType<typeof play>>;
  let refused: number;
  let victimsRefusals: readonly [before: unknown, after: unknown];
  let born: number;
  let sysctlsBefore: Record<string, number> = {};
  const refusalsOfVictim = () => ({
    losses: lossesOf(victim),
    quota: quotaOf(victim),
    neighbours: reasonOf(victim, "neighbours"),
  });

  beforeAll(async () => {
    await raw.apply(configOf(story));
    sysctlsBefore = await setSysctls(story.sysctls ?? {});
    await rest();
    if (story.poolTaken) takePool(story.poolTaken);
    const [refusedBefore, victimBefore] = [story.refused(), refusalsOfVictim()];
    seen = await play(story);
    refused = story.refused() - refusedBefore;
    victimsRefusals = [victimBefore, refusalsOfVictim()];
    born = drainEvents();
  });
  afterAll(() => setSysctls(sysctlsBefore));

  it("it is refused what is beyond, and that is counted", () => {
    expect(refused).toBeGreaterThanOrEqual(story.asked - story.got(seen.seconds));
  });

  it("all of the other's new connections begin", () => {
    expect([seen.begun, seen.tried]).toEqual([story.fresh, story.fresh]);
  });

  it("none of its live connections loses a packet", () => {
    expect(seen.live.lost).toBe(0);
  });

  it("they stay in XDP", () => {
    expect(seen.live.byXdp).toBeGreaterThanOrEqual(0.99 * seen.live.packets);
  });

  it("it is refused nothing", () => {
    expect(victimsRefusals[1]).toEqual(victimsRefusals[0]);
  });

  it("all of its flows are told of", () => {
    expect(born).toBeGreaterThanOrEqual(2 * (story.live + story.fresh));
  });

  const { lifted } = story;
  if (lifted)
    it("without the share the other does suffer", async () => {
      await rest();
      lift(lifted.share);
      expect(await play({ ...story, ...lifted })).toSatisfy(lifted.suffers);
    });
});

describe("remembered link-layer addresses: one tenant has ten times its share", () => {
  const places = 64;
  const share = places / 2;
  const hostsOfVictim = times(share / 2, (n) => `10.0.0.${20 + n}`);
  const memory = new NeighbourMemory(places);
  const forgotten = { [hostile]: 0, [victim]: 0 };
  const redecided: (readonly number[])[] = [];
  let monitor: KernelMonitor;

  const arrive = async (hosts: readonly string[], end: End, mac?: string): Promise<void> => {
    await raw.carry(hosts.map((sender) => arpFrom(sender, end, mac)));
    for (let left = 100; left > 0 && !hosts.every((address) => memory.knows(`xgre${end.key}`, address)); left--)
      await sleep(20);
  };

  beforeAll(async () => {
    const config = configOf({ limits: `neighbours: ${kernelHolds.neighbours}` });
    await raw.apply(config);
    await rest();
    const interest = new Interest(buildDesired(checkConfigValue(parse(config)).config), routeProtocol, memory);
    const hear = (event: KernelEvent) => {
      const { redecide: wanted, forgotNeighbourOf } = interest.of(event);
      if (wanted) redecided.push(wanted.tenants);
      if (forgotNeighbourOf === hostile || forgotNeighbourOf === victim) forgotten[forgotNeighbourOf]++;
    };
    const onGap = () => expect.fail("nothing may be lost");
    monitor = inNetNamespace(raw.gateway.path, () => monitorKernel(hear, onGap) as never);
    await arrive(hostsOfVictim, victimHosts);
    for (let slice = 0; slice < 10; slice++) {
      await arrive(
        times(share, (n) => `10.0.${100 + slice}.${n + 1}`),
        hostileHosts,
      );
      await raw.gateway.run("ip", "neigh", "flush", "dev", `xgre${keys[hostile]}`); // as time does
    }
  });
  afterAll(() => monitor.stop());

  it("its oldest are forgotten, and that is counted as its own", () => {
    expect(forgotten[hostile]).toBeGreaterThanOrEqual(10 * share - places);
  });

  it("none of the other's is forgotten", () => {
    expect(forgotten[victim]).toBe(0);
    expect(hostsOfVictim.filter((address) => !memory.knows(`xgre${keys[victim]}`, address))).toEqual([]);
  });

  it("none of the other's flows is decided anew, but for a host that does change", async () => {
    const ofVictim = () => redecided.filter((tenants) => tenants.includes(victim)).length;
    const before = ofVictim();
    await arrive(hostsOfVictim.slice(1), victimHosts);
    await arrive(hostsOfVictim.slice(0, 1), victimHosts, "02:00:00:00:00:99");
    await expect.poll(ofVictim).toBe(before + 1);
    expect(before).toBe(0);
  });
});
