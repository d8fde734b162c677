/** The gateway under attack: xgw in this process's network namespace, at the near end of raw cables. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { loadConfig } from "../../src/config/load.js";
import type { Config, ConfigInput } from "../../src/config/schema.js";
import { apply, teardown } from "../../src/gateway.js";
import { batch } from "../../src/kernel/ip.js";
import type { DesiredTenant } from "../../src/model/desired.js";
import { addVlan, Cables, here } from "../lab/own-namespace.js";
import type { Wire } from "../lab/wire.js";
import { LocalDeliveries } from "./local.js";
import { type AttackSite, foreign, instance, own, sideOf } from "./site.js";
import { Daemon, detachLinks, type StateName, wipePins } from "./states.js";

export interface Departure {
  /** Index of the cable. */
  readonly wire: number;
  readonly frame: Buffer;
}

export class AttackedGateway {
  /** Of the config in force. */
  tenants: readonly DesiredTenant[] = [];
  private daemon: Daemon | undefined;
  private changing: Promise<void> | undefined;
  private isStopping = false;
  /** Changes that were made while packets went. */
  changes = 0;

  private constructor(
    readonly site: AttackSite,
    private readonly cables: Cables,
    readonly local: LocalDeliveries,
    private readonly folder: string,
  ) {}

  get wires(): readonly Wire[] {
    return this.cables.wires;
  }

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
    if (state === "detached") await detachLinks("xdp_");
    if (state === "learner") await detachLinks("learn_");
    if (state === "wiped") await wipePins();
    if (state === "daemon") this.daemon = await Daemon.start(this.configFile);
  }

  /** Only when there are connections: a change under way begins. */
  beginChanges(): void {
    this.isStopping = false;
    this.changing = this.keepChanging();
  }

  private async keepChanging(): Promise<void> {
    for (let isOther = true; !this.isStopping; isOther = !isOther) {
      await this.apply(isOther ? this.site.other : this.site.config);
      this.changes++;
      await sleep(20);
    }
  }

  async leave(): Promise<void> {
    this.isStopping = true;
    await this.changing;
    this.changing = undefined;
    await this.daemon?.stop();
    this.daemon = undefined;
  }

  take(): Departure[] {
    return this.wires.flatMap((wire, index) => wire.take().map((frame) => ({ wire: index, frame })));
  }

  send(wire: number, frame: Buffer): void {
    const to = this.wires[wire];
    if (!to) throw new Error(`the site has no cable ${wire}`);
    to.send(frame);
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
