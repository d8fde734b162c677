/**
 * One who asks for ten times its share of something, and beside it a tenant that needs half of its own. The tenants are the
 * same two in every story; what they share out, and how much of it there is, the story says.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { BpfMap } from "libbpf-ts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readReasons } from "../../../src/datapath/counters.js";
import type { EventTap } from "../../../src/datapath/event-tap.js";
import { littleEndian, u32 } from "../../../src/datapath/layout.js";
import { Pins } from "../../../src/datapath/pins.js";
import { type Losses, readLosses, type Table } from "../../../src/datapath/usage.js";
import { redecide } from "../../../src/gateway.js";
import { nobody } from "../../../src/model/desired.js";
import { type Resource, resources } from "../../../src/model/shares.js";
import { run } from "../../../vm/lab/netns.js";
import { datapathModules } from "../../bpf/support/built.js";
import { ipv4, udp } from "../../bpf/support/packet.js";
import { type Carried, type Conversation, Conversations } from "./conversations.js";
import { type End, gatewayAddress, RawGateway } from "./raw-gateway.js";

/** Tenant ids go by the order in the config. */
export const [hostile, victim] = [1, 2] as const;
export const keys = { [hostile]: 1000, [victim]: 2000 } as const;
export const [hostileHosts, victimHosts]: readonly [End, End] = [
  { kind: "gretap", key: keys[hostile], endpoint: "172.168.0.11" },
  { kind: "gretap", key: keys[victim], endpoint: "172.168.0.12" },
];
const farSide = "172.168.0.7";
const farOf = (tenant: 1 | 2): End => ({ kind: "gretap", key: keys[tenant], endpoint: farSide });
/** Somebody on the underlay's wire who is no tenant's. */
export const stranger = "172.168.0.66";
export const [host, far] = ["10.0.0.7", "1.1.1.7"];
/** Places in the flow table: twice as many as the config has `flows`. */
export const flowPlaces = 2 * 1024;

export interface Limits {
  /** Of the gateway, and of tenants: YAML. */
  readonly limits?: string;
  readonly of?: { readonly [hostile]?: string; readonly [victim]?: string };
}

export const configOf = ({ limits = "", of = {} }: Limits) => `apiVersion: xgw/v1
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

export interface Story extends Limits {
  /** As in docs/limits.md. */
  readonly resource: string;
  /** Who asks for so much; a tenant when it is not said. */
  readonly who?: string;
  /** Sizes and times of the kernel's tables. */
  readonly sysctls?: Readonly<Record<string, number>>;
  /** What there is for whoever comes has gone to others. */
  readonly poolTaken?: readonly [table: Table, places: number];
  /** The victim's connections, half of its share: so many before the flood, and so many in the middle of it. */
  readonly live: number;
  readonly fresh: number;
  readonly conversation?: (n: number) => Conversation;
  /** How those in the middle of it begin, where it is not by TCP; they are not live then. */
  readonly begin?: (stage: Stage, conversations: readonly Conversation[]) => Promise<Begun>;
  /** Of the hostile one: one slice of so much that all of them are ten times its share. */
  readonly flood: (slice: number, stage: Stage) => Promise<unknown>;
  /** The places or times that the hostile one asked for, and of which it may have got so many. */
  readonly asked: number;
  readonly got: (seconds: number) => number;
  /** What it was refused, as it is counted. */
  readonly refused: (stage: Stage) => number;
  /** Without the share the victim does suffer. */
  readonly lifted?: {
    readonly lift: (stage: Stage) => unknown;
    readonly suffers: (victim: Seen) => boolean;
    /** Less, or others, may do. */
    readonly flood?: Story["flood"];
    readonly conversation?: NonNullable<Story["conversation"]>;
  };
}

export interface Begun {
  readonly tried: number;
  readonly begun: number;
}

/** Of the victim. */
export interface Seen extends Begun {
  readonly live: Carried;
  /** Flows that were told of as born. */
  readonly born: number;
}

export const slices = 4;
export const pins = new Pins("raw");
export const reasonOf = (tenant: number, reason: string) =>
  readReasons(pins, [tenant]).get(tenant)?.[reason]?.packets ?? 0;
export const quotaOf = (tenant: number) => reasonOf(tenant, "quota");
export const lossesOf = (tenant: number) => readLosses(pins, [tenant]).get(tenant) as Losses;

export const times = <T>(count: number, of: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => of(n));
export const toFar = (n: number): Conversation => ({ client: host, server: far, sport: 10_000 + n, dport: 80 });
export const toManyHosts = (n: number): Conversation => ({ ...toFar(n), server: `1.1.2.${n + 1}` });

/** Hosts that do not exist. */
const isThere = (address: string) => !address.startsWith("10.0.9");
export const absent = (at: number) => `10.0.${90 + (at >> 8)}.${at & 255}`;

/** The gateway, and everybody around it. */
export class Stage implements AsyncDisposable {
  private constructor(
    readonly raw: RawGateway,
    private readonly events: EventTap,
  ) {}

  static async set(): Promise<Stage> {
    const raw = await RawGateway.start({
      config: configOf({}),
      endpoints: [farSide, hostileHosts.endpoint, victimHosts.endpoint, stranger],
      neighbours: {},
    });
    return new Stage(raw, new datapathModules.eventTap.EventTap(pins));
  }

  /** As after a start: nothing is under way. */
  async rest(): Promise<void> {
    const { gateway } = this.raw;
    await gateway.run("conntrack", "-F");
    await redecide("raw", [hostile, victim]);
    for (const device of ["eth0", ...Object.values(keys).map((key) => `xgre${key}`)])
      await gateway.tryRun("ip", "neigh", "flush", "dev", device);
    // The flowtable keeps connections that have gone until its next round, and forwards past conntrack meanwhile.
    while ((await this.connections()) > 0) await sleep(200);
    while ((await this.fragmentMemory()) > 0) await sleep(200);
    await sleep(1100); // buckets of so many a second are full again
    this.drainEvents();
  }

  /** That are not freed, also those that conntrack has forgotten. */
  private async connections(): Promise<number> {
    return Number(await this.raw.gateway.run("sysctl", "-n", "net.netfilter.nf_conntrack_count"));
  }

  /** Bytes in which fragments wait. */
  private async fragmentMemory(): Promise<number> {
    return Number(/^FRAG: .* memory (\d+)/m.exec(await this.raw.gateway.run("cat", "/proc/net/sockstat"))?.[1]);
  }

  /** Packets of the hostile tenant. */
  send(packets: readonly Buffer[]) {
    return this.raw.carry(
      packets.map((packet) => this.raw.frame(hostileHosts, packet)),
      isThere,
    );
  }

  /** Connections of the hostile tenant. */
  connect(conversations: readonly Conversation[]) {
    return new Conversations(this.raw, hostileHosts, farOf(hostile)).begin(conversations);
  }

  /** Datagrams of the hostile tenant there, back and there again: two flows each, which no FIN ends. */
  converse(conversations: readonly Conversation[]) {
    const datagram = (from: End, src: string, dst: string, sport: number, dport: number) =>
      this.raw.frame(from, ipv4({ src, dst }, udp({ sport, dport, checksum: false })));
    const there = conversations.map(({ client, server, sport, dport }) =>
      datagram(hostileHosts, client, server, sport, dport),
    );
    const back = conversations.map(({ client, server, sport, dport }) =>
      datagram(farOf(hostile), server, client, dport, sport),
    );
    return this.raw.carry([...there, ...back, ...there]);
  }

  /** Four slices: the flood, then some new connections, then a packet each way of all that are live. */
  async play(story: Story): Promise<Seen & { readonly seconds: number }> {
    const { live, fresh, conversation = toFar, flood } = story;
    const conversations = new Conversations(this.raw, victimHosts, farOf(victim));
    const begin = story.begin ?? ((_: Stage, some: readonly Conversation[]) => conversations.begin(some));
    const first = await conversations.begin(times(live, conversation));
    if (first.begun < first.tried) throw new Error(`only ${first.begun} of ${first.tried} began before the flood`);
    const started = performance.now();
    const seen = { tried: 0, begun: 0, live: { packets: 0, lost: 0, byXdp: 0 } };
    const sampledBefore = reasonOf(victim, "sample");
    for (let slice = 0; slice < slices; slice++) {
      await flood(slice, this);
      const some = times(fresh / slices, (n) => conversation(live + (slice * fresh) / slices + n));
      const { tried, begun } = await begin(this, some);
      const { packets, lost, byXdp } = await conversations.goOn();
      seen.tried += tried;
      seen.begun += begun;
      seen.live.packets += packets;
      seen.live.lost += lost;
      seen.live.byXdp += byXdp;
    }
    // What XDP gives to the kernel by itself it could have carried.
    seen.live.byXdp += reasonOf(victim, "sample") - sampledBefore;
    return { ...seen, seconds: (performance.now() - started) / 1000, born: this.drainEvents() };
  }

  /** Flows of the victim that were told of as born since the last look. */
  private drainEvents(): number {
    return this.events.take().filter(({ tenant, kind }) => tenant === victim && kind === "born").length;
  }

  /**
   * Settings of the gateway's own, or of the whole machine: those only the first network namespace has, which is this one.
   * Gives what they were.
   */
  async setSysctls(values: Readonly<Record<string, number>>): Promise<Record<string, number>> {
    const before: Record<string, number> = {};
    for (const [name, value] of Object.entries(values)) {
      const command = (...args: string[]) =>
        name.startsWith("net.ipv4.ipfrag_") ? this.raw.gateway.run("sysctl", ...args) : run("sysctl", args);
      before[name] = Number(await command("-n", name));
      await command("-qw", `${name}=${value}`);
    }
    return before;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.events[Symbol.dispose]();
    await this.raw[Symbol.asyncDispose]();
  }
}

/** A tenant id's field of the limits becomes 0, "there is none". */
export const liftShare = (share: Resource) => (): void => {
  using limits = BpfMap.openPinned(pins.map("limits"));
  for (const tenant of [nobody, hostile, victim]) {
    const value = limits.get(u32(tenant)) ?? Buffer.alloc(limits.valueSize);
    value.fill(0, resources.indexOf(share) * 4, resources.indexOf(share) * 4 + 4);
    limits.set(u32(tenant), value);
  }
};

/** All that there is for whoever comes is others'. */
function takePool([table, places]: NonNullable<Story["poolTaken"]>): void {
  using usage = BpfMap.openPinned(pins.map(`${table}_usage`));
  const value = Buffer.alloc(8);
  littleEndian ? value.writeBigInt64LE(BigInt(places)) : value.writeBigInt64BE(BigInt(places));
  usage.set(u32(nobody), value);
}

/** What tests say of each story. */
export function tellAll(stageOf: () => Stage, stories: readonly Story[]): void {
  for (const story of stories)
    describe(`${story.resource}: ${story.who ?? "one tenant"} asks for ten times ${story.who ? "as much" : "its share"}`, () =>
      tell(stageOf, story));
}

function tell(stageOf: () => Stage, story: Story): void {
  let seen: Awaited<ReturnType<Stage["play"]>>;
  let refused: number;
  let victimsRefusals: readonly [before: unknown, after: unknown];
  let sysctlsBefore: Record<string, number> = {};
  const refusalsOfVictim = () => ({
    losses: lossesOf(victim),
    quota: quotaOf(victim),
    neighbours: reasonOf(victim, "neighbours"),
    fragments: reasonOf(victim, "fragments"),
  });

  beforeAll(async () => {
    const stage = stageOf();
    await stage.raw.apply(configOf(story));
    sysctlsBefore = await stage.setSysctls(story.sysctls ?? {});
    await stage.rest();
    if (story.poolTaken) takePool(story.poolTaken);
    const [refusedBefore, victimBefore] = [story.refused(stage), refusalsOfVictim()];
    seen = await stage.play(story);
    refused = story.refused(stage) - refusedBefore;
    victimsRefusals = [victimBefore, refusalsOfVictim()];
  });
  afterAll(() => stageOf().setSysctls(sysctlsBefore));

  it("what is beyond is refused, and that is counted", () => {
    const beyond = story.asked - story.got(seen.seconds);
    expect(beyond, "in so long it could not have it all").toBeGreaterThan(0);
    expect(refused).toBeGreaterThanOrEqual(beyond);
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
    expect(seen.born).toBeGreaterThanOrEqual(2 * (story.live + (story.begin ? 0 : story.fresh)));
  });

  const { lifted } = story;
  if (lifted)
    it("without the share the other does suffer", async () => {
      const stage = stageOf();
      await stage.rest();
      await lifted.lift(stage);
      expect(await stage.play({ ...story, ...lifted })).toSatisfy(lifted.suffers);
    });
}
