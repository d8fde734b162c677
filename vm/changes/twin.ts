/**
 * One of two gateways that live the same life, each in a network namespace of its own: the reference has a program on its
 * NICs that passes everything, and the other one has xgw's.
 */

import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BpfLink, BpfObject } from "libbpf-ts";
import { Pins } from "../../src/datapath/pins.js";
import { Namespace } from "../lab/netns.js";
import { cable, Wire } from "../lab/wire.js";
import { Workers } from "../lab/workers.js";
import { built } from "../root.js";
import { configOf, nics, routesAtFirst, type TenantInput } from "./site.js";
import type { Departure, World } from "./world.js";

/** Neighbours of all devices are asked for in seconds, where the kernel's own defaults take minutes. */
const hurryNeighbours = `
for device in /proc/sys/net/ipv4/neigh/eth* /proc/sys/net/ipv4/neigh/xgre*; do
	[ -d $device ] || continue
	echo 2000 >$device/base_reachable_time_ms
	echo 1 >$device/delay_first_probe_time
	echo 200 >$device/retrans_time_ms
	echo 2 >$device/ucast_solicit
done
`;

export class Twin {
  private daemon: ChildProcess | undefined;
  private log = "";

  private constructor(
    readonly name: string,
    private readonly isReference: boolean,
    private readonly world: World,
    private readonly gateway: Namespace,
    private readonly far: Namespace,
    private readonly wires: readonly Wire[],
    private readonly workers: Workers,
    private readonly pass: BpfObject,
    private readonly configFile: string,
  ) {}

  /** @param folder where its config is written */
  static async start(name: string, isReference: boolean, world: World, folder: string, seed: number): Promise<Twin> {
    const gateway = await Namespace.create(`xgw-changes-${seed}-${name}`);
    const far = await Namespace.create(`xgw-changes-${seed}-${name}-far`);
    for (const [index, nic] of nics.entries()) {
      await cable(gateway, nic.name, far, `wire${index}`);
      await gateway.ip(`link set ${nic.name} address ${nic.mac}`, `addr add ${nic.address} dev ${nic.name}`);
    }
    // A route by a NIC without a carrier is none.
    await gateway.run("sysctl", "-qw", "net.ipv4.conf.all.ignore_routes_with_linkdown=1");
    await gateway.ip(...routesAtFirst);
    const wires = nics.map((_, index) => Wire.open({ netns: far.path, device: `wire${index}` }));
    const pass = BpfObject.open(built("bpf/test-pass.bpf.o")).load();
    const workers = new Workers(gateway, built("lab/worker.js"));
    return new Twin(name, isReference, world, gateway, far, wires, workers, pass, join(folder, `${name}.yaml`));
  }

  ip = (...lines: string[]): Promise<void> => this.gateway.ip(...lines);
  /** Of what may not be there. */
  tryIp = async (...lines: string[]): Promise<void> => {
    for (const line of lines) await this.gateway.tryRun("ip", ...line.split(" "));
  };
  run = (...command: string[]): Promise<string> => this.gateway.run(...command);
  tryRun = (...command: string[]) => this.gateway.tryRun(...command);

  /** The far end of a cable. */
  setCarrier = (wire: number, isUp: boolean): Promise<void> =>
    this.far.ip(`link set wire${wire} ${isUp ? "up" : "down"}`);

  /** Puts a frame on its wire, and gives all that the gateway sends meanwhile, with everybody's answers to its questions. */
  send(departure: Departure): Departure[] {
    this.put(departure);
    return this.take();
  }

  private put(departure: Departure): void {
    if (this.world.isTaken(departure)) this.wires[departure.wire]?.send(departure.frame);
  }

  take(): Departure[] {
    const left: Departure[] = [];
    for (;;) {
      const more = this.wires.flatMap((wire, index) => wire.take().map((frame) => ({ wire: index, frame })));
      const answers = more.flatMap((departure) => this.world.answerTo(departure) ?? []);
      left.push(...more);
      for (const answer of answers) this.put(answer);
      if (answers.length === 0) return left;
    }
  }

  async write(tenants: readonly TenantInput[]): Promise<void> {
    await writeFile(this.configFile, JSON.stringify(configOf(this.name, tenants), undefined, 2)); // JSON is YAML, too
  }

  /** Puts the written config in force, as the command does. */
  async apply(): Promise<void> {
    await this.workers.carryOut({ do: "apply", configFile: this.configFile });
    await this.hurry();
    if (!this.isReference) return;
    const pins = new Pins(this.name);
    for (const name of pins.links()) {
      using link = BpfLink.openPinned(pins.link(name));
      if (link.info.type === "xdp") link.update(this.pass.program("pass"));
    }
  }

  /** Devices may be new. */
  hurry = async (): Promise<void> => void (await this.run("sh", "-c", hurryNeighbours));

  get hasDaemon(): boolean {
    return this.daemon !== undefined;
  }

  async startDaemon(): Promise<void> {
    const command = [process.execPath, built("xgw/lib/main.js"), "run", "-c", this.configFile];
    const daemon = this.gateway.spawn(command, { ...process.env, XGW_LOG: "info" });
    this.log = "";
    await new Promise<void>((resolve, reject) => {
      daemon.stderr?.on("data", (data: Buffer) => {
        this.log += data.toString();
        if (this.log.includes('"msg":"running"')) resolve();
      });
      daemon.once("close", (code) => reject(new Error(`xgw run ended with ${code}: ${this.log}`)));
    });
    this.daemon = daemon;
  }

  async endDaemon(signal: NodeJS.Signals): Promise<void> {
    const { daemon } = this;
    this.daemon = undefined;
    if (!daemon || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = once(daemon, "exit");
    daemon.kill(signal);
    await ended;
  }

  /** Whether the daemon has had nothing to log for so long. */
  async settled(quietMs: number): Promise<void> {
    for (let length = -1; length !== this.log.length; ) {
      length = this.log.length;
      await sleep(quietMs);
    }
  }

  async stop(): Promise<void> {
    await this.endDaemon("SIGKILL");
    await this.workers.carryOut({ do: "teardown", configFile: this.configFile }).catch(() => {});
    await this.workers.stop();
    for (const wire of this.wires) wire[Symbol.dispose]();
    this.pass.close();
    await this.gateway.delete();
    await this.far.delete();
  }
}
