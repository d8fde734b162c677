/**
 * A gateway with xgw applied whose one NIC, or the members of the bond in its place, end in raw frames: every host, tunnel
 * endpoint and router behind it is the test, which puts inner packets into tunnels and gets those that the gateway sends
 * into tunnels.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { TunnelKind } from "../../../src/model/desired.js";
import { CommandLine } from "../../../vm/lab/command-line.js";
import { Namespace, type Output, tryRun } from "../../../vm/lab/netns.js";
import { cable, Wire } from "../../../vm/lab/wire.js";
import { arp, checksum, ethernet, etherType, gre, ipBytes, ipProtocol, ipv4, raw } from "../../bpf/support/packet.js";

const gatewayMac = "02:00:00:00:00:01";
const farMac = "02:00:00:00:00:02";
const hostMac = "02:00:00:00:00:07";
export const gatewayAddress = "172.168.0.1";

/** One end of a tunnel: whose it is, and the endpoint on the underlay. */
export interface End {
  readonly kind: TunnelKind;
  readonly key: number;
  readonly endpoint: string;
}

/** What the gateway sent. */
export interface Sent {
  readonly key: number;
  readonly endpoint: string;
  /** XDP writes 0 as the outer IP id, the kernel never does. */
  readonly by: "xdp" | "kernel";
  /** The inner IP packet. */
  readonly packet: Buffer;
}

export interface RawGatewayOptions {
  readonly config: string;
  readonly endpoints: readonly string[];
  /** Inner addresses whose neighbour entries are given, by the gretap key. */
  readonly neighbours: Readonly<Record<number, readonly string[]>>;
  /** `eth0` is a bond of `bondMembers`, with these options of `ip link add type bond`. */
  readonly bond?: string;
  /** `ip` commands for the gateway's namespace, before xgw is applied. */
  readonly setUp?: readonly string[];
}

export const bondMembers = ["eth1", "eth2"] as const;

/** Well below what the wire keeps until it is taken, with several frames for each that is sent. */
const framesAtOnce = 256;
/** Within so long all must be done. */
const quietWithinMs = 60_000;

export class RawGateway implements AsyncDisposable {
  private nextId = 1;
  /** By which of the wires frames come to the gateway. */
  private via = 0;

  private readonly commands: CommandLine;

  private constructor(
    readonly gateway: Namespace,
    private readonly far: Namespace,
    /** One a member of the bond; without one, of the NIC. */
    private readonly wires: readonly [Wire, ...Wire[]],
    private readonly folder: string,
    private readonly endpoints: readonly string[],
  ) {
    this.commands = new CommandLine(gateway);
  }

  static async start(options: RawGatewayOptions): Promise<RawGateway> {
    const { config, endpoints, neighbours, bond, setUp = [] } = options;
    for (const name of ["vrf", "ip_gre", "nf_flow_table", "nf_conntrack", "8021q", "bonding"])
      await tryRun("modprobe", ["-q", name]);
    const gateway = await Namespace.create(`xgw${process.pid}-raw`);
    const far = await Namespace.create(`xgw${process.pid}-far`);
    const folder = mkdtempSync(join(tmpdir(), "xgw-raw-"));
    const nics = bond === undefined ? (["eth0"] as const) : bondMembers;
    for (const nic of nics) await cable(gateway, nic, far, `far-${nic}`);
    const [first, ...others] = nics.map((nic) => Wire.open({ netns: far.path, device: `far-${nic}` }));
    if (bond !== undefined) await gateway.ip(...bondLines(bond));
    // The kernel tells one host no more than an error a second, and fast tests ask for more.
    await gateway.run("sh", "-c", "echo 0 > /proc/sys/net/ipv4/icmp_ratelimit");
    await gateway.ip(...underlayLines(endpoints), ...setUp);
    writeFileSync(join(folder, "xgw.yaml"), config);
    const self = new RawGateway(gateway, far, [first as Wire, ...others], folder, endpoints);
    await self.apply();
    const known = Object.entries(neighbours).flatMap(([key, addresses]) =>
      addresses.map((address) => `neigh replace ${address} lladdr ${hostMac} dev xgre${key} nud permanent`),
    );
    await gateway.ip(...known);
    await self.settled();
    return self;
  }

  /** With another config, if one is given. */
  async apply(config?: string): Promise<void> {
    if (config !== undefined) writeFileSync(join(this.folder, "xgw.yaml"), config);
    await this.xgw("apply");
  }

  /** Another bond of the same members. To load programs anew would take most of a test's time. */
  async bondAnew(bond: string): Promise<void> {
    await this.gateway.ip("link del eth0", ...bondLines(bond), ...underlayLines(this.endpoints));
    await this.apply();
    await this.settled();
    this.via = 0;
  }

  /** From now on, frames come to the gateway by this member of the bond. */
  comeBy(member: (typeof bondMembers)[number]): void {
    this.via = bondMembers.indexOf(member);
  }

  /** The far ends of the cables take nothing that XDP sends any more, and what comes out of them is not seen. */
  deafen(): void {
    for (const wire of this.wires) wire[Symbol.dispose]();
  }

  private put(frame: Buffer): void {
    (this.wires[this.via] ?? this.wires[0]).send(frame);
  }

  private take(): Buffer[] {
    return this.wires.flatMap((wire) => wire.take());
  }

  private async settled(): Promise<Buffer[]> {
    const frames: Buffer[] = [];
    for (const wire of this.wires) frames.push(...(await wire.settled()));
    return frames;
  }

  /** As a wire's own: undefined when nothing has come, and the kernel is done. */
  private async more(): Promise<Buffer[] | undefined> {
    const came: (Buffer[] | undefined)[] = [];
    for (const wire of this.wires) came.push(await wire.more());
    return came.some((frames) => frames !== undefined) ? came.flatMap((frames) => frames ?? []) : undefined;
  }

  /** What `xgw COMMAND` says. */
  async xgw(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.tryXgw(...args);
    if (code !== 0) throw new Error(`xgw ${args.join(" ")} ended with ${code}: ${stderr}`);
    return stdout;
  }

  /** `xgw COMMAND`, however it ends. */
  tryXgw(...args: string[]): Promise<Output> {
    return this.commands.run(...args, "-c", join(this.folder, "xgw.yaml"));
  }

  /** Waits until conntrack sees the connection's packets again. */
  async flowtableHasDone(protocol: "tcp" | "udp", sport: number): Promise<void> {
    const entry = () => this.gateway.run("conntrack", "-L", "-p", protocol, "--sport", `${sport}`);
    while ((await entry()).includes("[OFFLOAD]")) await sleep(100);
  }

  /** Sends frames, and waits until the gateway has done with them. */
  async send(frames: readonly Buffer[]): Promise<void> {
    for (const frame of frames) this.put(frame);
    await this.settled();
  }

  /** ARP that the gateway sends into tunnels, by what it asks for, in answer to frames. */
  async asked(...frames: readonly Buffer[]): Promise<string[]> {
    for (const frame of frames) this.put(frame);
    return (await this.settled()).flatMap((frame) => parseArp(frame) ?? []);
  }

  /**
   * Sends frames, and gives all that the gateway sends until nothing more comes, ARP apart: hosts that are there answer
   * that, each with a MAC address of its own.
   */
  async carry(frames: readonly Buffer[], isThere: (host: string) => boolean = () => true): Promise<Sent[]> {
    const sent: Sent[] = [];
    const take = (left: readonly Buffer[]): Buffer[] => {
      sent.push(...left.flatMap((frame) => parseSent(frame) ?? []));
      return left.flatMap((frame) => answerTo(frame, isThere) ?? []);
    };
    const put = (some: readonly Buffer[]): void => {
      for (let at = 0; at < some.length; at += framesAtOnce) {
        for (const frame of some.slice(at, at + framesAtOnce)) this.put(frame);
        put(take(this.take()));
      }
    };
    put(frames);
    for (const deadline = performance.now() + quietWithinMs; performance.now() < deadline; ) {
      const left = await this.more();
      if (!left) return sent;
      put(take(left));
    }
    throw new Error(`the gateway was still sending after ${quietWithinMs / 1000} s`);
  }

  /** The frame that carries an inner IP packet from that end of a tunnel to the gateway. */
  frame({ kind, key, endpoint }: End, packet: Buffer): Buffer {
    const mac = `02:67:${key
      .toString(16)
      .padStart(8, "0")
      .replace(/..(?!$)/g, "$&:")}`;
    const inner = kind === "gre" ? packet : ethernet({ src: hostMac, dst: mac }, packet);
    const type = kind === "gre" ? etherType.ipv4 : etherType.bridged;
    return this.outerFrame(ipv4({ src: endpoint, dst: gatewayAddress, id: this.nextId++ }, gre({ type, key }, inner)));
  }

  /** The frame of an outer IP packet. */
  outerFrame(packet: Buffer): Buffer {
    return ethernet({ src: farMac, dst: gatewayMac }, packet);
  }

  /** Sends an inner packet to the gateway; gives what the gateway sent next, of that which is meant. */
  async ask(from: End, packet: Buffer, isMeant?: (sent: Sent) => boolean): Promise<Sent[]> {
    return this.askFrames([this.frame(from, packet)], 3000, isMeant);
  }

  /** A busy machine leaves work to a kernel thread, so that an answer may take its time. */
  async askFrames(
    frames: readonly Buffer[],
    patienceMs = 3000,
    isMeant: (sent: Sent) => boolean = () => true,
  ): Promise<Sent[]> {
    for (const frame of frames) this.put(frame);
    const sent: Sent[] = [];
    for (const deadline = performance.now() + patienceMs; ; ) {
      sent.push(...(await this.settled()).flatMap((frame) => parseSent(frame) ?? []).filter(isMeant));
      if (sent.length > 0 || performance.now() > deadline) return sent;
    }
  }

  /** What the gateway sends in answer to frames to which it should send nothing. */
  async refused(...frames: readonly Buffer[]): Promise<Sent[]> {
    return this.askFrames(frames, 200);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.xgw("teardown");
    await this.commands.stop();
    for (const wire of this.wires) wire[Symbol.dispose]();
    await this.gateway.delete();
    await this.far.delete();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const bondLines = (bond: string): string[] => [
  `link add eth0 type bond ${bond}`,
  ...bondMembers.flatMap((member) => [`link set ${member} down`, `link set ${member} master eth0`]),
  "link set eth0 up",
];

const underlayLines = (endpoints: readonly string[]): string[] => [
  `link set eth0 address ${gatewayMac}`,
  `addr add ${gatewayAddress}/24 dev eth0`,
  ...endpoints.map((endpoint) => `neigh replace ${endpoint} lladdr ${farMac} dev eth0 nud permanent`),
];

/** For what a tunnelled ARP request asks. */
const parseArp = (frame: Buffer): string | undefined => tunnelledArp(frame)?.subarray(38, 42).join(".");

/** With its Ethernet header. */
function tunnelledArp(frame: Buffer): Buffer | undefined {
  if (frame.readUInt16BE(12) !== etherType.ipv4 || frame[23] !== ipProtocol.gre) return undefined;
  const inner = frame.subarray(14 + 28);
  return inner.readUInt16BE(12) === etherType.arp ? inner : undefined;
}

const macText = (bytes: Buffer) => bytes.toString("hex").replace(/..(?!$)/g, "$&:");

/** Of a host that answers. */
export const macOf = (host: string): string => macText(Buffer.concat([Buffer.from([2, 7]), ipBytes(host)]));

/** The frame with which the host that a tunnelled ARP request asks for answers it, if it is there. */
function answerTo(frame: Buffer, isThere: (host: string) => boolean): Buffer | undefined {
  const request = tunnelledArp(frame);
  const target = parseArp(frame);
  if (!request || target === undefined || !isThere(target)) return undefined;
  const reply = arp({
    operation: "reply",
    senderMac: macOf(target),
    sender: target,
    targetMac: macText(request.subarray(22, 28)),
    target: request.subarray(28, 32).join("."),
  });
  const payload = gre({ type: etherType.bridged, key: frame.readUInt32BE(14 + 24) }, reply);
  const endpoint = frame.subarray(30, 34).join(".");
  return ethernet({ src: farMac, dst: gatewayMac }, ipv4({ src: endpoint, dst: gatewayAddress, id: 1 }, payload));
}

/** Undefined for what is no tenant's packet: ARP for an endpoint. */
function parseSent(frame: Buffer): Sent | undefined {
  if (frame.readUInt16BE(12) !== etherType.ipv4 || frame[23] !== ipProtocol.gre) return undefined;
  const ip = frame.subarray(14, 14 + frame.readUInt16BE(16));
  const bridged = ip.readUInt16BE(22) === etherType.bridged;
  const packet = ip.subarray(bridged ? 42 : 28);
  if (checksum(ip.subarray(0, 20)) !== 0) throw new Error(`wrong outer IP checksum: ${frame.toString("hex")}`);
  if (bridged && ip.readUInt16BE(40) !== etherType.ipv4) return undefined;
  return {
    key: ip.readUInt32BE(24),
    endpoint: ip.subarray(16, 20).join("."),
    by: ip.readUInt16BE(4) === 0 ? "xdp" : "kernel",
    packet,
  };
}

/** An ICMP error about a packet: its type and code, the second word of its header, and what it quotes. */
export interface IcmpError {
  readonly src: string;
  readonly dst: string;
  readonly type: number;
  readonly code: number;
  /** The next hop's MTU of "fragmentation needed". */
  readonly mtu: number;
  readonly quoted: Buffer;
}

/** @throws when a checksum of the three that it has is wrong */
export function parseIcmpError(packet: Buffer): IcmpError {
  const headerLength = ((packet[0] ?? 0) & 15) * 4;
  const message = packet.subarray(headerLength);
  const quoted = message.subarray(8);
  for (const [what, part] of [
    ["IP", packet.subarray(0, headerLength)],
    ["ICMP", message],
    ["quoted IP", quoted.subarray(0, 20)],
  ] as const)
    if (checksum(part) !== 0) throw new Error(`wrong ${what} checksum: ${packet.toString("hex")}`);
  return {
    src: packet.subarray(12, 16).join("."),
    dst: packet.subarray(16, 20).join("."),
    type: message[0] ?? 0,
    code: message[1] ?? 0,
    mtu: message.readUInt16BE(6),
    quoted,
  };
}

/** An ICMP error that a host or router sends about a packet, of which it quotes that many bytes. */
export function icmpError(
  addresses: { readonly src: string; readonly dst: string; readonly ttl?: number; readonly id?: number },
  error: { readonly type: number; readonly code: number; readonly mtu?: number },
  about: Buffer,
  quotedBytes = 28,
): Buffer {
  const message = Buffer.concat([Buffer.alloc(8), about.subarray(0, quotedBytes)]);
  message[0] = error.type;
  message[1] = error.code;
  message.writeUInt16BE(error.mtu ?? 0, 6);
  message.writeUInt16BE(checksum(message), 2);
  return ipv4({ ...addresses, df: false }, raw(ipProtocol.icmp, message));
}
