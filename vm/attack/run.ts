/** The attack: seeds of one site, each with the gateway in one of its states, and what must not have happened. */

import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { dissect } from "../../test/bpf/support/dissect.js";
import { type Ipv4, layersOf, protocols } from "../frames/layers.js";
import { stream } from "../frames/stream.js";
import { drawSent } from "./adversary.js";
import { Involved, readBooks } from "./books.js";
import { breaks } from "./breaks.js";
import { echoInForeignTunnel } from "./foreign.js";
import { AttackedGateway, type Departure } from "./gateway.js";
import { Honest } from "./honest.js";
import { Oracle } from "./oracle.js";
import type { Sent } from "./sent.js";
import { type AttackSite, drawSite } from "./site.js";
import { type StateName, states } from "./states.js";

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
  readonly honest: { readonly sent: number; readonly arrived: number };
  /** Whether somebody else's tunnel worked. */
  readonly foreignWorks: boolean;
  readonly changes: number;
  readonly violations: readonly Violation[];
  readonly seconds: number;
}

/** One seed for each state: a site takes long to be built. */
export const siteOf = (seed: number): number => Math.floor(seed / states.length);

export async function runSite(
  number: number,
  seeds: readonly SeedOptions[],
  folder: string,
  done: (result: SeedResult) => void,
): Promise<void> {
  const site = drawSite(stream(number, "attacked site"));
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

class Attack {
  private readonly violations: Violation[] = [];
  private readonly involved = new Involved();
  private readonly shapes: Record<string, number> = {};
  private readonly fates: Record<string, number> = {};
  private readonly honest: Honest;
  /** Keys of tenants of which a host has sent something that ends a connection. */
  private readonly enders = new Set<number>();
  private current: Sent | undefined;
  private frames = 0;

  constructor(
    private readonly site: AttackSite,
    private readonly gateway: AttackedGateway,
    private readonly oracle: Oracle,
    private readonly options: SeedOptions,
  ) {
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
    const before = readBooks(gateway.tenants);
    await honest.open(stream(seed, "honest"), this.isExpected);
    await breaks.find(({ name }) => name === broken)?.apply();
    if (state === "change") {
      oracle.during(true);
      gateway.beginChanges();
    }
    await this.attack(packets);
    const foreignWorks = await this.tryForeign();
    await gateway.leave();
    await sleep(patienceMs);
    this.judge(gateway.take());
    await this.judgeLocal();
    for (const fault of honest.faults) this.violate(fault, []);
    if (state !== "change" && state !== "wiped")
      for (const fault of this.involved.faults(before, readBooks(gateway.tenants))) this.violate(fault, []);
    const { sent, arrived } = honest;
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
      honest: { sent, arrived },
      foreignWorks,
      changes,
      violations: this.violations,
      seconds: (performance.now() - began) / 1000,
    };
  }

  /** Without their programs packets from the uplink are the host's; and a tenant that comes and goes cannot be reached. */
  private readonly isExpected = ({ key, byUplink }: { key: number; byUplink: boolean }): boolean => {
    const { state } = this.options;
    if (state === "wiped") return !byUplink;
    return state !== "change" || (this.site.other.tenants ?? []).some((tenant) => tenant.key === key);
  };

  private async attack(count: number): Promise<void> {
    const { honest, options } = this;
    const living = honest.living;
    for (let number = 1; number <= count; number++) {
      if (options.only === undefined || options.only === number) {
        const sent = drawSent(this.site, living, { seed: options.seed, number });
        this.shapes[sent.shape] = (this.shapes[sent.shape] ?? 0) + 1;
        const { fate } = await this.post(sent, false);
        this.fates[fate] = (this.fates[fate] ?? 0) + 1;
      }
      if (number % honestEvery === 0) await this.sayHonestly(number / honestEvery);
      if (options.state === "change" || options.state === "daemon") await turn();
    }
  }

  /** Each connection in turn, each side in turn. */
  private async sayHonestly(turn: number): Promise<void> {
    const { connections } = this.honest;
    const connection = connections[turn % Math.max(1, connections.length)];
    if (!connection || (await this.honest.say(connection, Math.floor(turn / connections.length) % 2 === 0 ? 0 : 1)))
      return;
    const { name, key, sides } = connection;
    // A host may end its own tenant's connections.
    if (sides[0].tuple.protocol === "tcp" && this.enders.has(key)) return;
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

  private count({ frames, from, packet: { ip } }: Sent): void {
    this.frames += frames.length;
    if (from.kind === "tenant") this.involved.hasArrived(from.key, frames.length);
    if (from.kind === "tenant" && ip && endsConnections(ip)) this.enders.add(from.key);
    for (const { key, publicIps = [], portForwards = [], snat } of this.site.config.tenants ?? []) {
      const publics = [...publicIps, ...portForwards, ...(snat ? [snat] : [])].map(({ address }) => address);
      if (from.kind === "side" && ip && publics.includes(ip.dst)) this.involved.hasArrived(key, frames.length);
    }
  }

  private judge(left: readonly Departure[]): string[] {
    const { current } = this;
    if (!current) return [];
    return left.map(({ wire, frame }) => {
      const { fate, fault, tenants, origin } = this.oracle.judge(wire, frame, current);
      for (const key of tenants) this.involved.hasLeft(key);
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

/** TCP with SYN, FIN or RST. */
const endsConnections = ({ protocol, payload }: Ipv4) =>
  protocol === protocols.tcp && ((payload[13] ?? 0) & 0x07) !== 0;

const indented = (frame: Buffer) => dissect(frame).map((line) => `  ${line}`);

const tell = ({ number, story, frames }: Sent): string[] => [
  `packet ${number}, ${story}`,
  ...frames.slice(0, 2).flatMap(indented),
];
