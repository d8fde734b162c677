/**
 * A gateway with two NICs towards the underlay, each of which ends in raw frames: routers, tunnel endpoints and the hosts
 * behind them are the test, which also answers ARP for those that are there, on the wire and inside tunnels. xgw has been
 * applied, and no daemon runs.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CommandLine } from "../../../vm/lab/command-line.js";
import { Namespace, tryRun } from "../../../vm/lab/netns.js";
import { cable, Wire } from "../../../vm/lab/wire.js";
import { arp, ethernet, etherType, gre, ipProtocol, ipv4 } from "../../bpf/support/packet.js";

export const nics = ["eth0", "eth1"] as const;
export type Nic = (typeof nics)[number];
export const nicMacs: Readonly<Record<Nic, string>> = { eth0: "02:00:00:00:00:01", eth1: "02:00:00:00:01:01" };
export const underlayAddress = "172.168.0.1";

/** A packet in a gretap tunnel that the gateway has sent. */
export interface Left {
  readonly nic: Nic;
  /** Of the frame, and of the frame inside. */
  readonly to: string;
  readonly innerTo: string;
  readonly endpoint: string;
  /** XDP writes 0 as the outer IP id, the kernel never does. */
  readonly by: "xdp" | "kernel";
  readonly packet: Buffer;
}

const macText = (bytes: Buffer) => bytes.toString("hex").replace(/..(?!$)/g, "$&:");
const tunnelMac = (key: number) =>
  `02:67:${key
    .toString(16)
    .padStart(8, "0")
    .replace(/..(?!$)/g, "$&:")}`;
const broadcast = "ff:ff:ff:ff:ff:ff";

export class TwoNicGateway implements AsyncDisposable {
  /** Who answers ARP: MAC addresses by IP address. */
  readonly there = new Map<string, string>();
  private readonly commands: CommandLine;

  private constructor(
    readonly gateway: Namespace,
    readonly far: Namespace,
    private readonly wires: Readonly<Record<Nic, Wire>>,
    private readonly folder: string,
  ) {
    this.commands = new CommandLine(gateway);
  }

  /** @param setUp `ip` commands for the gateway's namespace, before xgw is applied */
  static async start(config: string, setUp: readonly string[]): Promise<TwoNicGateway> {
    for (const name of ["vrf", "ip_gre", "nf_flow_table", "nf_conntrack"]) await tryRun("modprobe", ["-q", name]);
    const gateway = await Namespace.create(`xgw${process.pid}-two`);
    const far = await Namespace.create(`xgw${process.pid}-ways`);
    const folder = mkdtempSync(join(tmpdir(), "xgw-two-"));
    const wires: Partial<Record<Nic, Wire>> = {};
    for (const nic of nics) {
      await cable(gateway, nic, far, `far-${nic}`);
      await gateway.ip(`link set ${nic} address ${nicMacs[nic]}`);
      wires[nic] = Wire.open({ netns: far.path, device: `far-${nic}` });
    }
    await gateway.ip(...setUp);
    writeFileSync(join(folder, "xgw.yaml"), config);
    const self = new TwoNicGateway(gateway, far, wires as Record<Nic, Wire>, folder);
    const { code, stderr } = await self.xgw("apply");
    if (code !== 0) throw new Error(`xgw apply ended with ${code}: ${stderr}`);
    return self;
  }

  xgw(...command: string[]) {
    return this.commands.run(...command, "-c", join(this.folder, "xgw.yaml"));
  }

  /** Puts an inner packet of a tenant's into its tunnel, and gives what leaves by tunnels until nothing more does. */
  tunnelled(nic: Nic, key: number, endpoint: string, innerMac: string, packet: Buffer): Promise<Left[]> {
    const inner = ethernet({ src: innerMac, dst: tunnelMac(key) }, packet);
    const outer = { src: endpoint, dst: underlayAddress, id: 1 };
    return this.send(nic, ipv4(outer, gre({ type: etherType.bridged, key }, inner)));
  }

  /** The same of any IP packet to the gateway. */
  async send(nic: Nic, packet: Buffer): Promise<Left[]> {
    this.wires[nic].send(ethernet({ src: "02:00:00:00:00:fd", dst: nicMacs[nic] }, packet));
    const left: Left[] = [];
    for (let more = true; more; ) {
      more = false;
      for (const by of nics)
        for (const frame of await this.wires[by].settled()) {
          const answer = this.answerTo(frame);
          if (answer) this.wires[by].send(answer);
          more ||= answer !== undefined;
          left.push(...parse(by, frame));
        }
    }
    return left;
  }

  /** Of who is there to an ARP request that reaches it. */
  private answerTo(frame: Buffer): Buffer | undefined {
    const isTunnelled = frame.readUInt16BE(12) === etherType.ipv4 && frame[23] === ipProtocol.gre;
    const request = isTunnelled ? frame.subarray(14 + 28) : frame;
    if (request.length < 42 || request.readUInt16BE(12) !== etherType.arp || request[21] !== 1) return undefined;
    const target = request.subarray(38, 42).join(".");
    const mac = this.there.get(target);
    const to = macText(request.subarray(0, 6));
    if (mac === undefined || (to !== mac && to !== broadcast)) return undefined;
    const asker = macText(request.subarray(22, 28));
    const sender = request.subarray(28, 32).join(".");
    const reply = arp({ operation: "reply", senderMac: mac, sender: target, targetMac: asker, target: sender });
    if (!isTunnelled) return reply;
    const payload = gre({ type: etherType.bridged, key: frame.readUInt32BE(14 + 24) }, reply);
    const eth = { src: macText(frame.subarray(0, 6)), dst: macText(frame.subarray(6, 12)) };
    return ethernet(eth, ipv4({ src: frame.subarray(30, 34).join("."), dst: underlayAddress, id: 1 }, payload));
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

function parse(nic: Nic, frame: Buffer): Left[] {
  if (frame.readUInt16BE(12) !== etherType.ipv4 || frame[23] !== ipProtocol.gre) return [];
  const outer = frame.subarray(14, 14 + frame.readUInt16BE(16));
  const inner = outer.subarray(28);
  if (inner.readUInt16BE(12) !== etherType.ipv4) return [];
  return [
    {
      nic,
      to: macText(frame.subarray(0, 6)),
      innerTo: macText(inner.subarray(0, 6)),
      endpoint: outer.subarray(16, 20).join("."),
      by: outer.readUInt16BE(4) === 0 ? "xdp" : "kernel",
      packet: inner.subarray(14),
    },
  ];
}
