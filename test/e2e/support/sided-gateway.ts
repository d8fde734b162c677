/**
 * A gateway with an underlay, an uplink and a NIC that xgw knows nothing of, each of which ends in raw frames: everybody on
 * all three is the test.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inNetNamespace } from "libbpf-ts";
import { type NftCounters, readNftCounters } from "../../../src/observe/nft-counters.js";
import { CommandLine } from "../../../vm/lab/command-line.js";
import { Namespace, type Output, tryRun } from "../../../vm/lab/netns.js";
import { cable, Wire } from "../../../vm/lab/wire.js";
import {
  ethernet,
  etherType,
  gre,
  type Ipv4Fields,
  ipProtocol,
  ipv4,
  type Transport,
} from "../../bpf/support/packet.js";

const program = fileURLToPath(new URL("../../../dist/xgw/lib/main.js", import.meta.url));

export const nics = ["eth0", "eth1", "mgmt0"] as const;
export type Nic = (typeof nics)[number];

export const macs: Readonly<Record<Nic, string>> = {
  eth0: "02:00:00:00:00:01",
  eth1: "02:00:00:00:01:01",
  mgmt0: "02:00:00:00:02:01",
};
const farMac = "02:00:00:00:00:fe";
const hostMac = "02:00:00:00:00:07";
export const underlayAddress = "172.168.0.1";
export const instance = "sides";
/** What a config begins with; the tenants follow. */
export const head = `apiVersion: xgw/v1
instance: ${instance}
underlay: { device: eth0, address: ${underlayAddress} }
uplink: { device: eth1, gateway: 203.0.113.254 }
nics: [{ name: eth0 }, { name: eth1 }]
`;

/** A frame that left the gateway. */
export interface Left {
  readonly nic: Nic;
  readonly frame: Buffer;
  /** Of IPv4: the packet, and what is in its GRE if it is GRE with a key. */
  readonly packet?: Buffer;
  readonly tunnelled?: { readonly key: number; readonly endpoint: string; readonly packet: Buffer };
}

export interface SidedOptions {
  readonly config: string;
  /** `ip` commands for the gateway's namespace, before xgw is applied. */
  readonly setUp?: readonly string[];
  /** Inner addresses whose neighbour entries are given, by the gretap key. */
  readonly neighbours?: Readonly<Record<number, readonly string[]>>;
}

export class SidedGateway implements AsyncDisposable {
  private readonly commands: CommandLine;

  private constructor(
    readonly gateway: Namespace,
    private readonly far: Namespace,
    private readonly wires: Readonly<Record<Nic, Wire>>,
    private readonly folder: string,
    private readonly neighbours: NonNullable<SidedOptions["neighbours"]>,
  ) {
    this.commands = new CommandLine(gateway);
  }

  static async start({ config, setUp = [], neighbours = {} }: SidedOptions): Promise<SidedGateway> {
    for (const name of ["vrf", "ip_gre", "nf_flow_table", "nf_conntrack", "8021q"])
      await tryRun("modprobe", ["-q", name]);
    const gateway = await Namespace.create(`xgw${process.pid}-sides`);
    const far = await Namespace.create(`xgw${process.pid}-wires`);
    const folder = mkdtempSync(join(tmpdir(), "xgw-sides-"));
    const wires: Partial<Record<Nic, Wire>> = {};
    for (const nic of nics) {
      await cable(gateway, nic, far, `far-${nic}`);
      await gateway.ip(`link set ${nic} address ${macs[nic]}`);
      wires[nic] = Wire.open({ netns: far.path, device: `far-${nic}` });
    }
    await gateway.ip(...setUp);
    writeFileSync(join(folder, "xgw.yaml"), config);
    const self = new SidedGateway(gateway, far, wires as Record<Nic, Wire>, folder, neighbours);
    await self.apply();
    return self;
  }

  private get configFile(): string {
    return join(this.folder, "xgw.yaml");
  }

  /** With another config, if one is given. */
  async apply(config?: string): Promise<void> {
    if (config !== undefined) writeFileSync(this.configFile, config);
    const { code, stderr } = await this.xgw("apply");
    if (code !== 0) throw new Error(`xgw apply ended with ${code}: ${stderr}`);
    const known = Object.entries(this.neighbours).flatMap(([key, addresses]) =>
      addresses.map((address) => `neigh replace ${address} lladdr ${hostMac} dev xgre${key} nud permanent`),
    );
    await this.gateway.ip(...known);
    await this.settled();
  }

  xgw(...command: string[]): Promise<Output> {
    return this.commands.run(...command, "-c", this.configFile);
  }

  /** Where `ip` takes no batch that begins with these words. */
  async xgwWithout(words: string, ...command: string[]): Promise<Output> {
    const folder = join(this.folder, "bin");
    mkdirSync(folder, { recursive: true });
    const refusing = `#!/bin/sh
lines=$(cat)
case "$lines" in "${words}"*) exit 1 ;; esac
PATH=$(echo "$PATH" | cut -d: -f2-)
printf '%s\\n' "$lines" | ip "$@"
`;
    writeFileSync(join(folder, "ip"), refusing, { mode: 0o755 });
    const path = `PATH=${folder}:${process.env.PATH}`;
    return this.gateway.tryRun("env", path, process.execPath, program, ...command, "-c", this.configFile);
  }

  /** What the rules have refused so far, for tenants by their key; under key 0 what is nobody's. */
  refused(key: number, instance: string): Record<string, number> {
    const tenant = { id: key, key, vrf: `xvrf${key}`, tunnel: `xgre${key}` };
    const counters: NftCounters = inNetNamespace(this.gateway.path, () => readNftCounters(instance, [tenant]));
    const counts = Object.entries(counters.refused.get(key) ?? {});
    return Object.fromEntries(counts.map(([reason, { packets }]) => [reason, packets]));
  }

  /** Settings of the gateway's network namespace. */
  async sysctl(...assignments: string[]): Promise<void> {
    await this.gateway.run("sysctl", "-qw", ...assignments);
  }

  /** An IP packet on the wire of a NIC, to the gateway's MAC address. */
  frame(nic: Nic, packet: Uint8Array, tags: readonly number[] = [], type: number = etherType.ipv4): Buffer {
    return ethernet({ src: farMac, dst: macs[nic], tags, type }, packet);
  }

  /** An IP packet in a gretap tunnel's frame, as it comes to the gateway's underlay address. */
  tunnelled(key: number, endpoint: string, inner: Uint8Array, options: TunnelOptions = {}): Buffer {
    const { type = etherType.ipv4, gre: more = {}, outer = {} } = options;
    const payload = ethernet({ src: hostMac, dst: tunnelMac(key), type }, inner);
    const transport = gre({ type: etherType.bridged, key, ...more }, payload);
    return ipv4({ src: endpoint, dst: underlayAddress, id: 1, ...outer }, transport);
  }

  /** Puts a frame on a wire, and gives all that leaves the gateway until nothing has for a while, ARP and the like apart. */
  async send(nic: Nic, frame: Uint8Array): Promise<Left[]> {
    this.wires[nic].send(frame);
    return this.settled();
  }

  async settled(): Promise<Left[]> {
    const left: Left[] = [];
    for (const nic of nics)
      for (const frame of await this.wires[nic].settled())
        if (frame.readUInt16BE(12) !== etherType.arp) left.push(parse(nic, frame));
    return left.filter(({ frame, tunnelled }) => tunnelled?.packet.length !== 0 && !isNeighbourDiscovery(frame));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.xgw("teardown");
    await this.commands.stop();
    for (const nic of nics) this.wires[nic][Symbol.dispose]();
    await this.gateway.delete();
    await this.far.delete();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Of IPv6, to all routers or groups of hosts (RFC 2464): what a device's own stack sends by itself. */
const isNeighbourDiscovery = (frame: Buffer) => frame.readUInt16BE(0) === 0x3333;

interface TunnelOptions {
  readonly type?: number;
  readonly gre?: { readonly checksum?: boolean; readonly sequence?: number };
  readonly outer?: Partial<Ipv4Fields>;
}

const tunnelMac = (key: number) =>
  `02:67:${key
    .toString(16)
    .padStart(8, "0")
    .replace(/..(?!$)/g, "$&:")}`;

/** ARP in a tunnel has an empty packet. */
function parse(nic: Nic, frame: Buffer): Left {
  let at = 12;
  while ([0x8100, 0x88a8].includes(frame.readUInt16BE(at))) at += 4;
  if (frame.readUInt16BE(at) !== etherType.ipv4) return { nic, frame };
  const packet = frame.subarray(at + 2, at + 2 + frame.readUInt16BE(at + 4));
  const ihl = ((packet[0] ?? 0) & 15) * 4;
  if (packet[9] !== ipProtocol.gre || ((packet[ihl] ?? 0) & 0x20) === 0) return { nic, frame, packet };
  const bridged = packet.readUInt16BE(ihl + 2) === etherType.bridged;
  const isIp = !bridged || packet.readUInt16BE(ihl + 20) === etherType.ipv4;
  const inner = packet.subarray(ihl + (bridged ? 22 : 8));
  const endpoint = packet.subarray(16, 20).join(".");
  return {
    nic,
    frame,
    packet,
    tunnelled: { key: packet.readUInt32BE(ihl + 4), endpoint, packet: isIp ? inner : Buffer.alloc(0) },
  };
}

/** Addresses of an IP packet. */
export const addressesOf = (packet: Buffer) =>
  `${packet.subarray(12, 16).join(".")} > ${packet.subarray(16, 20).join(".")}`;

/** What left, one a line: by which NIC, in which tunnel, from whom to whom. */
export const told = (left: readonly Left[]): string[] =>
  left.map(({ nic, frame, packet, tunnelled }) => {
    if (tunnelled) return `${nic}: key ${tunnelled.key} to ${tunnelled.endpoint}: ${addressesOf(tunnelled.packet)}`;
    return packet ? `${nic}: ${addressesOf(packet)}` : `${nic}: ${frame.subarray(0, 14).toString("hex")}`;
  });

/** An IP packet with a payload of its own. */
export const packetOf = (src: string, dst: string, transport: Transport, more: Partial<Ipv4Fields> = {}): Buffer =>
  ipv4({ src, dst, ...more }, transport);
