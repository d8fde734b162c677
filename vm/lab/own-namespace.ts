/** A gateway in this process's own network namespace, at the near end of raw cables. */

import { ipBatch, Namespace, run } from "./netns.js";
import { cable, Wire } from "./wire.js";

export interface Cable {
  readonly nic: string;
  readonly mac: string;
  /** `a.b.c.d/len` of the NIC, or of the VLAN. */
  readonly addresses: readonly string[];
  readonly mtu: number;
  /** The bond that the NIC is a member of: addresses and VLAN are the bond's, of its first member's cable. */
  readonly bond?: string | undefined;
  /** What lies on the NIC, where the frames on the cable have a tag. */
  readonly vlan?: Vlan | undefined;
}

/** What lies on the cable: the NIC, or the bond that it is a member of. */
export const deviceOf = ({ nic, bond }: Cable): string => bond ?? nic;

export interface Vlan {
  readonly device: string;
  readonly type: 0x8100 | 0x88a8;
  readonly id: number;
}

/** A permanent neighbour of the gateway: whom it sends to without asking. */
export interface Neighbour {
  readonly device: string;
  readonly address: string;
  readonly mac: string;
}

/** The same as a namespace of the lab, for the one that this process is in. */
export const here = {
  run: (program: string, ...args: string[]) => run(program, args),
  ip: (...lines: string[]) => ipBatch(lines),
};

/**
 * The kernel limits how many ICMP errors it sends, forgets connections that close and packets that wait for their other
 * fragments: all by the clock, which must not make a difference between two passes of the same packets.
 */
const timeless: Readonly<Record<string, string>> = {
  "net.ipv4.icmp_ratelimit": "0",
  "net.ipv4.icmp_ratemask": "0",
  "net.ipv4.icmp_msgs_per_sec": "1000000",
  "net.ipv4.icmp_msgs_burst": "1000000",
  // Redirects are rationed for each sender by a limit of their own (ip_rt_send_redirect).
  "net.ipv4.conf.all.send_redirects": "0",
  "net.ipv4.conf.default.send_redirects": "0",
  "net.ipv4.ipfrag_time": "3600",
  "net.ipv4.ipfrag_high_thresh": "67108864",
  "net.ipv4.ipfrag_max_dist": "0",
  ...Object.fromEntries(
    [
      "close",
      "close_wait",
      "fin_wait",
      "last_ack",
      "time_wait",
      "syn_sent",
      "syn_recv",
      "unacknowledged",
      "max_retrans",
    ]
      .map((state) => `net.netfilter.nf_conntrack_tcp_timeout_${state}`)
      .concat("net.netfilter.nf_conntrack_udp_timeout", "net.netfilter.nf_conntrack_icmp_timeout")
      .map((name) => [name, "3600"]),
  ),
};

const modules = [
  "vrf",
  "ip_gre",
  "nf_conntrack",
  "nf_flow_table",
  "nf_flow_table_inet",
  "nf_tables",
  "veth",
  "8021q",
  "bonding",
];

/**
 * What a frame leads to has happened when the call that sent it returns, even where the kernel puts it off to the thread
 * that takes over long softirqs: that thread goes before every other on the one CPU that this process sends from. Only
 * where the machine is the test's own.
 */
async function hurrySoftirqs(): Promise<void> {
  const threads = (await run("pgrep", ["^ksoftirqd/"])).trim().split("\n");
  for (const pid of threads) await run("chrt", ["--fifo", "--pid", "50", pid]);
  await run("taskset", ["--cpu-list", "--pid", "0", String(process.pid)]);
  // How often the kernel says that there is no route: a setting of the whole machine.
  await run("nsenter", ["--net=/proc/1/ns/net", "sysctl", "-qw", "net.ipv4.route.error_cost=0"]);
}

export async function prepareClocks(): Promise<void> {
  for (const [name, value] of Object.entries(timeless))
    await run("sysctl", ["-qw", `${name}=${value}`]).catch(() => ""); // of this namespace only since Linux 6.10
}

/** Once for all gateways that this process makes one after the other. */
export async function prepareHost({ ipv6 = false } = {}): Promise<void> {
  for (const name of modules) await run("modprobe", ["-q", name]).catch(() => ""); // built in is as good
  await here.ip("link set lo up");
  if (process.env.XGW_IN_VM !== undefined) await hurrySoftirqs();
  await prepareClocks();
  const off = ipv6 ? 0 : 1;
  await run("sysctl", ["-qw", `net.ipv6.conf.all.disable_ipv6=${off}`, `net.ipv6.conf.default.disable_ipv6=${off}`]);
}

export async function addVlan(nic: string, { device, type, id }: Vlan): Promise<void> {
  const protocol = type === 0x8100 ? "802.1Q" : "802.1ad";
  await here.ip(`link add link ${nic} name ${device} type vlan protocol ${protocol} id ${id}`, `link set ${device} up`);
}

/** All members send and take, each as what a frame's MAC addresses and EtherType come to. */
async function enslave(nic: string, bond: string, isFirst: boolean): Promise<void> {
  if (isFirst) await here.ip(`link add ${bond} type bond mode balance-xor miimon 100`);
  await here.ip(`link set ${nic} down`, `link set ${nic} master ${bond}`);
  if (isFirst) await here.ip(`link set ${bond} up`);
  await here.ip(`link set ${nic} up`);
}

/** A frame as it left the gateway. */
export interface Departure {
  /** Index of the cable; of a bond's first member, whichever it left by. */
  readonly wire: number;
  readonly frame: Buffer;
}

/** NICs of this namespace with their VLANs and addresses, and the far ends of their cables. */
export class Cables {
  private framesSent = 0;

  private constructor(
    private readonly cables: readonly Cable[],
    private readonly far: Namespace,
    /** One a cable, in their order. */
    readonly wires: readonly Wire[],
  ) {}

  /** @param name of the namespace that the far ends are in */
  static async plug(cables: readonly Cable[], name: string): Promise<Cables> {
    const far = await Namespace.create(name);
    for (const [index, each] of cables.entries()) {
      const { nic, mac, addresses, mtu, bond, vlan } = each;
      await cable(here, nic, far, `wire${index}`);
      await here.ip(`link set ${nic} address ${mac} mtu ${mtu}`);
      if (bond) await enslave(nic, bond, cables.findIndex((other) => other.bond === bond) === index);
      if (vlan) await addVlan(deviceOf(each), vlan);
      await here.ip(...addresses.map((address) => `addr add ${address} dev ${vlan?.device ?? deviceOf(each)}`));
    }
    return new Cables(
      cables,
      far,
      cables.map((_, index) => Wire.open({ netns: far.path, device: `wire${index}` })),
    );
  }

  /** By a cable, or by the members of its bond in turn. */
  send(wire: number, frame: Buffer): void {
    const members = this.membersWith(wire);
    const to = this.wires[members[this.framesSent++ % members.length] ?? wire];
    if (!to) throw new Error(`the site has no cable ${wire}`);
    to.send(frame);
  }

  /** What has come out since the last look. */
  take(): Departure[] {
    return this.wires.flatMap((wire, index) =>
      wire.take().map((frame) => ({ wire: this.membersWith(index)[0] ?? index, frame })),
    );
  }

  /** Indices of the cables that make one device with that one. */
  private membersWith(wire: number): number[] {
    const bond = this.cables[wire]?.bond;
    if (bond === undefined) return [wire];
    return this.cables.flatMap((cable, index) => (cable.bond === bond ? [index] : []));
  }

  async unplug(): Promise<void> {
    for (const wire of this.wires) wire[Symbol.dispose]();
    const bonds = new Set(this.cables.flatMap((each) => each.bond ?? []));
    await here.ip(...[...this.cables.map(({ nic }) => nic), ...bonds].map((device) => `link del ${device}`));
    await this.far.delete();
  }
}
