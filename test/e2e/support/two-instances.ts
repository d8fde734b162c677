/**
 * Two gateways in one network namespace, each with an instance, a NIC and a key of its own. Both NICs end in raw frames:
 * tunnel endpoints and the hosts behind them are the test, with the same addresses at both.
 */

import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CommandLine } from "../../../vm/lab/command-line.js";
import { Namespace, type Output, tryRun } from "../../../vm/lab/netns.js";
import { cable, Wire } from "../../../vm/lab/wire.js";
import { ethernet, etherType, gre, ipProtocol, ipv4 } from "../../bpf/support/packet.js";

const program = fileURLToPath(new URL("../../../dist/xgw/lib/main.js", import.meta.url));
const [farMac, hostMac] = ["02:00:00:00:00:fe", "02:00:00:00:00:07"];

interface Instance {
  readonly nic: string;
  readonly key: number;
  readonly mac: string;
  readonly underlay: string;
  readonly endpoint: Readonly<Record<Side, string>>;
}

/** Where in a tenant: its own host, or the one outside. */
export type Side = "host" | "client";

export const instances = {
  gw1: {
    ...{ nic: "eth0", key: 1000, mac: "02:00:00:00:00:01", underlay: "172.168.0.1" },
    endpoint: { host: "172.168.0.11", client: "172.168.0.7" },
  },
  gw2: {
    ...{ nic: "eth1", key: 2000, mac: "02:00:00:00:01:01", underlay: "172.168.1.1" },
    endpoint: { host: "172.168.1.11", client: "172.168.1.7" },
  },
} as const satisfies Record<string, Instance>;
export type InstanceName = keyof typeof instances;
export const names = Object.keys(instances) as InstanceName[];

export const addresses = { host: "10.0.0.7", client: "1.1.1.7", public: "2.2.2.11" } as const;

const configOf = (name: InstanceName, { nic, key, underlay, endpoint }: Instance) => `apiVersion: xgw/v1
instance: ${name}
underlay: { device: ${nic}, address: ${underlay} }
nics: [{ name: ${nic} }]
tenants:
  - name: user
    key: ${key}
    addresses: [10.0.0.1/24]
    routes:
      - { to: ${addresses.host}/32, via: ${endpoint.host} }
      - { to: ${addresses.client}/32, via: ${endpoint.client} }
    publicIps: [{ address: ${addresses.public}, to: ${addresses.host} }]
    policy: { inbound: [{ allow: tcp, ports: [22] }] }
`;

/** A packet that has left in a tunnel. */
export interface Left {
  readonly instance: InstanceName;
  readonly key: number;
  readonly endpoint: string;
  /** XDP writes 0 as the outer IP id, the kernel never does. */
  readonly by: "xdp" | "kernel";
  readonly packet: Buffer;
}

export class TwoInstances implements AsyncDisposable {
  private readonly daemons = new Map<InstanceName, ChildProcess>();
  /** One each, so that both can be at work. */
  private readonly commands: Readonly<Record<InstanceName, CommandLine>>;

  private constructor(
    readonly gateway: Namespace,
    private readonly far: Namespace,
    private readonly wires: Readonly<Record<InstanceName, Wire>>,
    private readonly folder: string,
  ) {
    this.commands = { gw1: new CommandLine(gateway), gw2: new CommandLine(gateway) };
  }

  /** With nothing applied. */
  static async start(): Promise<TwoInstances> {
    for (const name of ["vrf", "ip_gre", "nf_flow_table", "nf_conntrack"]) await tryRun("modprobe", ["-q", name]);
    const gateway = await Namespace.create(`xgw${process.pid}-both`);
    const far = await Namespace.create(`xgw${process.pid}-wires`);
    const folder = mkdtempSync(join(tmpdir(), "xgw-both-"));
    const wires: Partial<Record<InstanceName, Wire>> = {};
    for (const name of names) {
      const { nic, mac, underlay, endpoint } = instances[name];
      await cable(gateway, nic, far, `far-${nic}`);
      await gateway.ip(
        `link set ${nic} address ${mac}`,
        `addr add ${underlay}/24 dev ${nic}`,
        ...Object.values(endpoint).map((end) => `neigh replace ${end} lladdr ${farMac} dev ${nic} nud permanent`),
      );
      wires[name] = Wire.open({ netns: far.path, device: `far-${nic}` });
      writeFileSync(join(folder, `${name}.yaml`), configOf(name, instances[name]));
    }
    return new TwoInstances(gateway, far, wires as Record<InstanceName, Wire>, folder);
  }

  xgw(name: InstanceName, ...command: string[]): Promise<Output> {
    return this.commands[name].run(...command, "-c", join(this.folder, `${name}.yaml`));
  }

  /** Applies, and gives the tenant's hosts their entries as neighbours. */
  async apply(name: InstanceName): Promise<Output> {
    const output = await this.xgw(name, "apply", "--wait", "300"); // the other one may be loading programs
    const known = [addresses.host, addresses.client];
    if (output.code === 0)
      await this.gateway.ip(
        ...known.map((to) => `neigh replace ${to} lladdr ${hostMac} dev xgre${instances[name].key} nud permanent`),
      );
    return output;
  }

  /** Starts the daemon, and waits until it runs. */
  async run(name: InstanceName): Promise<void> {
    const config = join(this.folder, `${name}.yaml`);
    const daemon = this.gateway.spawn([process.execPath, program, "run", "-c", config], {
      ...process.env,
      XGW_LOG: "info",
    });
    this.daemons.set(name, daemon);
    let log = "";
    await new Promise<void>((resolve, reject) => {
      daemon.stderr?.on("data", (data: Buffer) => {
        log += data.toString();
        if (log.includes('"msg":"running"')) resolve();
      });
      daemon.once("close", (code) => reject(new Error(`xgw run of ${name} ended with ${code}: ${log}`)));
    });
  }

  async stop(name: InstanceName): Promise<void> {
    const daemon = this.daemons.get(name);
    if (daemon === undefined || daemon.exitCode !== null) return;
    daemon.kill("SIGTERM");
    await once(daemon, "close");
  }

  /** Puts an inner packet into the tenant's tunnel at one of its ends, and gives what then leaves by tunnels, on both NICs. */
  async send(name: InstanceName, from: Side, packet: Buffer): Promise<Left[]> {
    const { key, mac, underlay, endpoint } = instances[name];
    const hex = key.toString(16).padStart(4, "0");
    const inner = ethernet({ src: hostMac, dst: `02:67:00:00:${hex.slice(0, 2)}:${hex.slice(2)}` }, packet);
    const outer = ipv4({ src: endpoint[from], dst: underlay, id: 1 }, gre({ type: etherType.bridged, key }, inner));
    this.wires[name].send(ethernet({ src: farMac, dst: mac }, outer));
    const left: Left[] = [];
    for (const instance of names)
      left.push(...(await this.wires[instance].settled()).flatMap((frame) => parse(instance, frame)));
    return left;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of names) {
      await this.stop(name);
      await this.xgw(name, "teardown");
      await this.commands[name].stop();
      this.wires[name][Symbol.dispose]();
    }
    await this.gateway.delete();
    await this.far.delete();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function parse(instance: InstanceName, frame: Buffer): Left[] {
  if (frame.readUInt16BE(12) !== etherType.ipv4 || frame[23] !== ipProtocol.gre) return [];
  const outer = frame.subarray(14, 14 + frame.readUInt16BE(16));
  if (outer.readUInt16BE(28 + 12) !== etherType.ipv4) return [];
  return [
    {
      instance,
      key: outer.readUInt32BE(24),
      endpoint: outer.subarray(16, 20).join("."),
      by: outer.readUInt16BE(4) === 0 ? "xdp" : "kernel",
      packet: outer.subarray(28 + 14),
    },
  ];
}
