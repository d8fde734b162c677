/** The attack: seeds of one site, each with the gateway in one of its states, and what must not have happened. */

import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { dissect } from "../../test/bpf/support/dissect.js";
import { layersOf } from "../frames/layers.js";
import { stream } from "../frames/stream.js";
import type { Departure } from "../lab/own-namespace.js";
import { drawSent } from "./adversary.js";
import { Ledger, readBooks } from "./books.js";
import { breaks } from "./breaks.js";
import { asksFor, drawFlood, type Flood, type FloodKind, firstOfFlood, hasFlood, questionOf } from "./flood.js";
import { echoInForeignTunnel } from "./foreign.js";
import { AttackedGateway } from "./gateway.js";
import { Honest, type HonestConnection, mayEnd } from "./honest.js";
import { Oracle } from "./oracle.js";
import type { Sent } from "./sent.js";
import { type AttackSite, absent, allTenants, drawSite, type TenantHost } from "./site.js";
import { handsOver, isBetween, type StateName } from "./states.js";
import { Tracked } from "./tracked.js";
import { TenantWorld } from "./world.js";

export interface SeedOptions {
  readonly seed: number;
  readonly packets: number;
  readonly state: StateName;
  /** Number of the one packet to be sent, the honest ones aside. */
  readonly only?: number | undefined;
  /** Name of what is broken: violations are wanted then. */
  readonly broken?: string | undefined;
}

export interface Violation {
  /** With what is particular taken out, to be counted. */
  readonly kind: string;
  readonly text: string;
}

export interface SeedResult {
  readonly seed: number;
  readonly state: StateName;
  readonly broken?: string | undefined;
  readonly site: string;
  readonly packets: number;
  readonly frames: number;
  /** Packets by their shape, and by what became of them. */
  readonly shapes: Readonly<Record<string, number>>;
  readonly fates: Readonly<Record<string, number>>;
  /** Of the connections, those that their own tenant ended were made anew. */
  readonly honest: { readonly sent: number; readonly arrived: number; readonly ended: number };
  /** Undefined where there was none. */
  readonly flood?: FloodKind | undefined;
  /** Whether somebody else's tunnel worked. */
  readonly foreignWorks: boolean;
  readonly changes: number;
  readonly violations: readonly Violation[];
  readonly seconds: number;
}

/** Seeds in a row, for a site takes long to be built; two sites have gone through all states. */
const seedsOfSite = 5;
export const siteOf = (seed: number): number => Math.floor(seed / seedsOfSite);
export const siteNumber = (number: number): AttackSite => drawSite(stream(number, "attacked site"));

export async function runSite(
  number: number,
  seeds: readonly SeedOptions[],
  folder: string,
  done: (result: SeedResult) => void,
): Promise<void> {
  const site = siteNumber(number);
  const gateway = await AttackedGateway.start(site, folder);
  try {
    const oracle = new Oracle(site);
    for (const options of seeds) done(await new Attack(site, gateway, oracle, options).run());
  } finally {
    await gateway.stop();
  }
}

/** Packets of the adversary's to one honest one. */
const honestEvery = 5;
const patienceMs = 60;
/** Packets of a flood to one honest one. */
const floodEvery = 16;
/** A gateway that is broken on purpose is attacked until it has been noticed so many times. */
const noticedEnough = 3;
/** From the daemon's being told of a change to its end. */
const killedAfterMs = [0, 6000] as const;

class Attack {
  private readonly violations: Violation[] = [];
  private ledger = new Ledger(new Map());
  private readonly tracked = new Tracked();
  private readonly shapes: Record<string, number> = {};
  private readonly fates: Record<string, number> = {};
  private readonly honest: Honest;
  /** Of all configs. */
  private readonly tenants: readonly TenantWorld[];
  private flood: FloodKind | undefined;
  /** Honest connections that a host of their own tenant may have ended. */
  private readonly endings = new Set<HonestConnection>();
  private current: Sent | undefined;
  private frames = 0;

  constructor(
    private readonly site: AttackSite,
    private readonly gateway: AttackedGateway,
    private readonly oracle: Oracle,
    private readonly options: SeedOptions,
  ) {
    this.tenants = allTenants(site).map((tenant) => new TenantWorld(tenant));
    this.honest = new Honest(site, options.seed, { ask: (sent) => this.post(sent, true).then(({ left }) => left) });
  }

  async run(): Promise<SeedResult> {
    const { gateway, oracle, honest, options } = this;
    const { seed, state, packets, broken } = options;
    const began = performance.now();
    await gateway.enter(state);
    oracle.during(false);
    await sleep(patienceMs);
    gateway.take(); // what the devices say by themselves
    await gateway.local.take();
    this.ledger = new Ledger(readBooks(gateway.tenants));
    gateway.onAnswer = (key) => this.ledger.hasArrived(key, 1);
    await honest.open(stream(seed, "honest"), this.isExpected);
    await breaks.find(({ name }) => name === broken)?.apply(this.site, gateway.tenants);
    oracle.during(isBetween(state));
    if (state === "change") gateway.beginChanges(() => this.ledger.enter(readBooks(gateway.tenants)));
    if (state === "killed") gateway.beginToKill(stream(seed, "killed").integer(...killedAfterMs));
    await this.attack(packets);
    const foreignWorks = await this.tryForeign();
    for (const fault of this.tracked.faults()) this.violate(fault, []);
    await gateway.leave();
    await sleep(patienceMs);
    this.judge(gateway.take());
    await this.judgeLocal();
    for (const fault of broken === undefined ? honest.faults : []) this.violate(fault, []);
    this.ledger.enter(readBooks(this.certain));
    for (const fault of this.ledger.faults()) this.violate(fault, []);
    const { sent, arrived, ended } = honest;
    const changes = gateway.changes;
    gateway.changes = 0;
    return {
      seed,
      state,
      broken,
      site: this.site.summary,
      packets,
      frames: this.frames,
      shapes: this.shapes,
      fates: this.fates,
      honest: { sent, arrived, ended },
      flood: this.flood,
      foreignWorks,
      changes,
      violations: this.violations,
      seconds: (performance.now() - began) / 1000,
    };
  }

  /** Without their programs packets from the uplink are the host's; and a tenant that comes and goes cannot be reached. */
  private readonly isExpected = ({ key, byUplink }: { key: number; byUplink: boolean }): boolean =>
    (handsOver(this.options.state) || !byUplink) && (!isBetween(this.options.state) || this.stays(key));

  private stays = (key: number) =>
    this.site.others.every(({ tenants = [] }) => tenants.some((each) => each.key === key));

  /** Tenants of which it is known by which id they are counted: nobody says what a killed daemon has got done. */
  private get certain() {
    const { tenants } = this.gateway;
    return this.options.state === "killed" ? tenants.filter(({ key }) => this.stays(key)) : tenants;
  }

  private async attack(count: number): Promise<void> {
    const { honest, options } = this;
    const { seed, only, broken } = options;
    const living = honest.living;
    const floodAt = broken === undefined && hasFlood(seed) ? Math.ceil(count / 2) : undefined;
    for (let number = 1; number <= count; number++) {
      if (broken !== undefined && this.violations.length >= noticedEnough) break;
      if (number === floodAt && (only === undefined || only >= firstOfFlood))
        await this.pour(drawFlood(this.site, seed, living));
      if (only === undefined || only === number) {
        const sent = drawSent(this.site, living, { seed, number });
        this.shapes[sent.shape] = (this.shapes[sent.shape] ?? 0) + 1;
        const { fate } = await this.post(sent, false);
        this.fates[fate] = (this.fates[fate] ?? 0) + 1;
      }
      if (number % honestEvery === 0) await this.sayHonestly(number / honestEvery);
      if (options.state === "change" || options.state === "daemon") await turn();
    }
  }

  /** While one sends all that it can, the others' new connections begin, and their next hosts are asked for. */
  private async pour({ key, kind, packets }: Flood): Promise<void> {
    const { honest, site, options } = this;
    this.flood = kind;
    const others = (opening: { key: number; byUplink: boolean }) => opening.key !== key && this.isExpected(opening);
    for (const [at, sent] of packets.entries()) {
      await this.post(sent, false);
      if (at % floodEvery === 0) await this.sayHonestly(at / floodEvery, key);
      if (at % floodEvery === 0) await turn();
    }
    await honest.open(stream(options.seed, "honest, flooded"), others);
    const there = (site.config.tenants ?? []).map((tenant) => tenant.key);
    const isAsked = (host: TenantHost) =>
      host.kind === "gretap" && host.address === "10.0.0.7" && there.includes(host.key);
    for (const [at, host] of site.hosts.entries())
      if (isAsked(host) && others({ ...host, byUplink: false })) {
        const address = absent.host(64_000 + at);
        const sent = questionOf(host, address, { seed: options.seed, number: firstOfFlood - 1 - at });
        const { left } = await this.post(sent, true);
        if (!left.some(({ frame }) => asksFor(frame, host.key, address)))
          this.violate(`nobody asks for the next host of the tenant with key ${host.key}`, tell(sent));
      }
  }

  /** Each connection in turn, each side in turn; but for those of a tenant that has no right to expect anything now. */
  private async sayHonestly(turn: number, except?: number): Promise<void> {
    const connections = this.honest.connections.filter(({ key }) => key !== except);
    const connection = connections[turn % Math.max(1, connections.length)];
    if (!connection || (await this.honest.say(connection, Math.floor(turn / connections.length) % 2 === 0 ? 0 : 1)))
      return;
    if (this.options.broken !== undefined) return; // that is no leak
    if (this.endings.has(connection)) return this.honest.renew(connection);
    const { name, key } = connection;
    const last = this.current;
    this.violate(`an honest packet of the tenant with key ${key}, ${name}, was lost`, last ? tell(last) : []);
  }

  /** Sends a packet, and judges what leaves. */
  private async post(sent: Sent, isPatient: boolean): Promise<{ left: readonly Departure[]; fate: string }> {
    const { gateway } = this;
    this.judge(gateway.take());
    this.oracle.expect(sent);
    this.current = sent;
    this.count(sent);
    const left: Departure[] = [];
    for (const frame of sent.frames) {
      gateway.send(sent.wire, frame);
      left.push(...gateway.take());
    }
    if (isPatient && left.length === 0) {
      await sleep(patienceMs);
      left.push(...gateway.take());
    }
    const fates = this.judge(left);
    return { left, fate: fates.find((fate) => fate !== "noise") ?? "nothing" };
  }

  private count(sent: Sent): void {
    const {
      frames,
      from,
      shape,
      packet: { ip },
    } = sent;
    this.tracked.hasArrived(sent);
    this.frames += frames.length;
    if (from.kind === "tenant") this.ledger.hasArrived(from.key, frames.length);
    for (const connection of this.honest.connections)
      if (from.kind === "tenant" && from.key === connection.key && shape !== "honest" && ip && mayEnd(connection, ip))
        this.endings.add(connection);
    for (const { key, publics } of this.tenants)
      if (from.kind === "side" && ip && publics.has(ip.dst)) this.ledger.hasArrived(key, frames.length);
  }

  private judge(left: readonly Departure[]): string[] {
    const { current } = this;
    if (!current) return [];
    return left.map(({ wire, frame }) => {
      const { fate, fault, tenants, origin } = this.oracle.judge(wire, frame, current);
      for (const key of tenants) this.ledger.hasLeft(key);
      if (fault !== undefined) this.violate(fault, [...tell(origin), `left by ${this.nic(wire)}:`, ...indented(frame)]);
      return fault === undefined ? fate : "VIOLATION";
    });
  }

  private async judgeLocal(): Promise<void> {
    const { packets, six, received } = await this.gateway.local.take();
    const { seed } = this.options;
    for (const packet of packets) {
      const origin = this.oracle.find({ seed, number: packet.id });
      const fault = origin && this.oracle.judgeLocal(packet, origin);
      if (origin && fault !== undefined) this.violate(fault, tell(origin));
    }
    for (const packet of six) this.violate(`the gateway itself took IPv6 ${packet}`, []);
    for (const nonce of received) {
      const origin = this.oracle.find(nonce);
      if (origin?.from.kind === "tenant")
        this.violate(`a service of the gateway's got what the tenant with key ${origin.from.key} sent`, tell(origin));
    }
  }

  /** Control: what is none of ours goes on working. */
  private async tryForeign(): Promise<boolean> {
    const sent = echoInForeignTunnel(this.site, this.options.seed);
    const { left } = await this.post(sent, true);
    return left.some(({ wire, frame }) => wire === sent.wire && layersOf(frame).ip?.protocol === 47);
  }

  private nic = (wire: number): string => this.site.cables[wire]?.nic ?? `wire ${wire}`;

  private violate(fault: string, lines: readonly string[]): void {
    const kind = fault.replaceAll(/\d+\.\d+\.\d+\.\d+(:\d+)?|\b\d+\b|x(?:vrf|gre)\d+/g, "…");
    const { seed, state } = this.options;
    this.violations.push({ kind, text: [`seed ${seed}, ${state}: ${fault}`, ...lines].join("\n") });
  }
}

const indented = (frame: Buffer) => dissect(frame).map((line) => `  ${line}`);

const tell = ({ number, story, frames }: Sent): string[] => [
  `packet ${number}, ${story}`,
  ...frames.slice(0, 2).flatMap(indented),
];
