/** The gateway under attack: xgw in this process's network namespace, at the near end of raw cables. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { loadConfig } from "../../src/config/load.js";
import type { Config, ConfigInput } from "../../src/config/schema.js";
import { apply, teardown } from "../../src/gateway.js";
import { batch } from "../../src/kernel/ip.js";
import type { DesiredTenant } from "../../src/model/desired.js";
import { addVlan, Cables, type Departure, here } from "../lab/own-namespace.js";
import { answerToArp } from "./hosts.js";
import { LocalDeliveries } from "./local.js";
import { type AttackSite, foreign, instance, own, sideOf } from "./site.js";
import { Daemon, type StateName, takeOff } from "./states.js";

export class AttackedGateway {
  /** Of the config in force. */
  tenants: readonly DesiredTenant[] = [];
  private daemon: Daemon | undefined;
  private changing: Promise<void> | undefined;
  private isStopping = false;
  /** Changes that were made while packets went. */
  changes = 0;
  /** Told of the tenant whose host has answered by ARP. */
  onAnswer: ((key: number) => void) | undefined;

  private constructor(
    readonly site: AttackSite,
    private readonly cables: Cables,
    readonly local: LocalDeliveries,
    private readonly folder: string,
  ) {}

  static async start(site: AttackSite, folder: string): Promise<AttackedGateway> {
    const cables = await Cables.plug(site.cables, `xgw-attack-${process.pid}`);
    for (const { nic, vlan, address } of site.moreVlans) {
      await addVlan(nic, vlan);
      await here.ip(`addr add ${address} dev ${vlan.device}`);
    }
    await surround(site);
    const local = await LocalDeliveries.watch();
    const gateway = new AttackedGateway(site, cables, local, folder);
    await batch(neighbourLines(site.neighbours));
    return gateway;
  }

  private async load(config: ConfigInput): Promise<Config> {
    await writeFile(this.configFile, JSON.stringify(config, undefined, 2)); // JSON is YAML, too
    return (await loadConfig(this.configFile)).config;
  }

  private get configFile(): string {
    return join(this.folder, "xgw.yaml");
  }

  /** Makes a config be in force. */
  private async apply(config: ConfigInput): Promise<void> {
    const { desired } = await apply(await this.load(config));
    this.tenants = desired.tenants;
    const keys = new Set(desired.tenants.map(({ tunnel }) => tunnel));
    await batch(neighbourLines(this.site.innerNeighbours.filter(({ device }) => keys.has(device))));
  }

  async enter(state: StateName): Promise<void> {
    const { config } = this.site;
    await this.apply(
      state === "generic" ? { ...config, nics: config.nics?.map((nic) => ({ ...nic, xdp: "generic" })) } : config,
    );
    await this.forgetTraffic();
    await takeOff(state);
    if (state === "daemon" || state === "killed") this.daemon = await Daemon.start(this.configFile);
  }

  /**
   * What the seed before has left in the tables that tenants share would be held against those who send now, and so would the
   * answer that a host of then is not there: it comes with the end of the question, and not seconds later.
   */
  private async forgetTraffic(): Promise<void> {
    await here.run("conntrack", "-F");
    const devices = [...this.site.sides, ...this.tenants.map(({ tunnel }) => ({ device: tunnel }))];
    for (const { device } of devices) await here.ip(`neigh flush dev ${device}`); // but for permanent ones
  }

  /** Only when there are connections: a change under way begins. Calls when one has been made, before the next. */
  beginChanges(made: () => void): void {
    this.isStopping = false;
    this.changing = this.keepChanging(made);
  }

  private async keepChanging(made: () => void): Promise<void> {
    const { config, others } = this.site;
    const round = [...others, config];
    for (let at = 0; !this.isStopping; at = (at + 1) % round.length) {
      await this.apply(round[at] as ConfigInput);
      this.changes++;
      made();
      await sleep(20);
    }
  }

  /** The daemon gets another config, and so much later an end. */
  beginToKill(afterMs: number): void {
    this.changing = this.changeAndKill(afterMs);
  }

  private async changeAndKill(afterMs: number): Promise<void> {
    await this.load(this.site.others[1]);
    await sleep(afterMs);
    await this.daemon?.kill();
  }

  async leave(): Promise<void> {
    this.isStopping = true;
    await this.changing;
    this.changing = undefined;
    await this.daemon?.kill();
    this.daemon = undefined;
  }

  /** All that has come out, while hosts that the gateway asks for by ARP answer. */
  take(): Departure[] {
    const left: Departure[] = [];
    for (let more = this.cables.take(); more.length > 0; more = this.cables.take()) {
      left.push(...more);
      const answers = more.flatMap(({ frame }) => answerToArp(this.site, frame) ?? []);
      for (const { key, wire, frame } of answers) {
        this.onAnswer?.(key);
        this.send(wire, frame);
      }
      if (answers.length === 0) break;
    }
    return left;
  }

  send(wire: number, frame: Buffer): void {
    this.cables.send(wire, frame);
  }

  async stop(): Promise<void> {
    await this.leave();
    await this.local.stop();
    await teardown(instance);
    await here.ip(`link del ${foreign.device}`);
    await this.cables.unplug();
  }
}

const neighbourLines = (neighbours: readonly { device: string; address: string; mac: string }[]): string[] =>
  neighbours.map(({ device, address, mac }) => `neigh replace ${address} lladdr ${mac} dev ${device} nud permanent`);

/** What else is on the machine: IPv6, a way to the world, and somebody else's tunnel. */
async function surround(site: AttackSite): Promise<void> {
  const { device, local, remote, key, address } = foreign;
  await here.ip(
    `addr add ${own.address6}/64 dev mgmt0 nodad`,
    sideOf(site, "uplink") ? "route add default via 203.0.113.1" : `route add default via ${own.host}`,
    `link add ${device} type gre local ${local} remote ${remote} key ${key} ttl 64`,
    `addr add ${address}/30 dev ${device}`,
    `link set ${device} up`,
  );
  for (const setting of ["net.ipv6.conf.all.forwarding=1", "net.ipv4.ip_forward=1"])
    await here.run("sysctl", "-qw", setting);
}
