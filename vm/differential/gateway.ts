/** The gateway under test: xgw in this process's network namespace, at the near end of raw cables. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BpfLink, BpfMap, BpfObject, BpfProgram } from "libbpf-ts";
import { loadConfig } from "../../src/config/load.js";
import { readForwarded } from "../../src/datapath/accounting.js";
import { readReasons } from "../../src/datapath/counters.js";
import { readU64, u32 } from "../../src/datapath/layout.js";
import { Pins } from "../../src/datapath/pins.js";
import { reasonSlots, reasons } from "../../src/datapath/reasons.js";
import { apply, giveTemplatesBack, redecide, teardown } from "../../src/gateway.js";
import { batch } from "../../src/kernel/ip.js";
import { tableName } from "../../src/plan/rules.js";
import { flowtablePart, verdictMap } from "../../src/plan/shares.js";
import { Namespace, run } from "../lab/netns.js";
import { cable, Wire } from "../lab/wire.js";
import { instance, type Site, type Vlan } from "./site.js";

/** The same as a namespace of the lab, for the one that this process is in. */
export const here = {
  run: (program: string, ...args: string[]) => run(program, args),
  ip: async (...lines: string[]) => {
    for (const line of lines) await run("ip", line.split(" "));
  },
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

const modules = ["vrf", "ip_gre", "nf_conntrack", "nf_flow_table", "nf_flow_table_inet", "nf_tables", "veth", "8021q"];

const passFile = fileURLToPath(new URL("../../bpf/test-pass.bpf.o", import.meta.url));

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

/** Once for all gateways that this process makes one after the other. */
export async function prepareHost(): Promise<void> {
  for (const name of modules) await run("modprobe", ["-q", name]).catch(() => ""); // built in is as good
  await here.ip("link set lo up");
  if (process.env.XGW_IN_VM !== undefined) await hurrySoftirqs();
  for (const [name, value] of Object.entries(timeless))
    await run("sysctl", ["-qw", `${name}=${value}`]).catch(() => ""); // of this namespace only since Linux 6.10
  await run("sysctl", ["-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"]);
}

async function addVlan(nic: string, { device, type, id }: Vlan): Promise<void> {
  const protocol = type === 0x8100 ? "802.1Q" : "802.1ad";
  await here.ip(`link add link ${nic} name ${device} type vlan protocol ${protocol} id ${id}`, `link set ${device} up`);
}

export class Gateway {
  private constructor(
    readonly site: Site,
    readonly wires: readonly Wire[],
    private readonly far: Namespace,
    readonly tenants: readonly number[],
    private readonly pass: BpfObject,
    private readonly stats: BpfMap,
  ) {}

  /** @param folder where the config is written */
  static async start(site: Site, folder: string): Promise<Gateway> {
    const far = await Namespace.create(`xgw-differential-${process.pid}`);
    for (const [index, { nic, mac, addresses, mtu, vlan }] of site.cables.entries()) {
      await cable(here, nic, far, `wire${index}`);
      await here.ip(`link set ${nic} address ${mac} mtu ${mtu}`);
      if (vlan) await addVlan(nic, vlan);
      for (const address of addresses) await here.ip(`addr add ${address} dev ${vlan?.device ?? nic}`);
    }
    const file = join(folder, "xgw.yaml");
    await writeFile(file, JSON.stringify(site.config, undefined, 2)); // JSON is YAML, too
    const { config } = await loadConfig(file);
    const wires = site.cables.map((_, index) => Wire.open({ netns: far.path, device: `wire${index}` }));
    const { desired } = await apply(config);
    await batch(
      site.neighbours.map(
        ({ device, address, mac }) => `neigh replace ${address} lladdr ${mac} dev ${device} nud permanent`,
      ),
    );
    const pass = BpfObject.open(passFile).load();
    return new Gateway(
      site,
      wires,
      far,
      desired.tenants.map(({ id }) => id),
      pass,
      BpfMap.openPinned(new Pins(instance).map("stats")),
    );
  }

  private get pins(): Pins {
    return new Pins(instance);
  }

  /** Puts the gateway into one of the states that are compared, with no connection and no flow. */
  async set({ xdp, flowtable }: { readonly xdp: boolean; readonly flowtable: boolean }): Promise<void> {
    this.setXdp(xdp);
    await this.setFlowtable(flowtable);
    await this.forget();
  }

  private async forget(): Promise<void> {
    await run("conntrack", ["-F"]).catch(() => "");
    await redecide(instance, this.tenants);
    await giveTemplatesBack(instance, this.tenants);
  }

  /** Whether XDP is on. */
  isFast = true;

  /** Whether the program, or one that passes everything, is on the NICs. The slow path stays as it is. */
  private setXdp(on: boolean): void {
    this.isFast = on;
    const { pins } = this;
    const [fingerprint = ""] = pins.fingerprints();
    using own = BpfProgram.openPinned(pins.program(fingerprint, "xgw_xdp"));
    for (const name of pins.links()) {
      using link = BpfLink.openPinned(pins.link(name));
      if (link.info.type === "xdp") link.update(on ? own : this.pass.program("pass"));
    }
  }

  /** Whether established flows are given to the flowtable, as the rules have it. */
  private async setFlowtable(on: boolean): Promise<void> {
    const chain = ["ip", tableName(instance), "forward"];
    const lines = (await run("nft", ["-a", "list", "chain", ...chain])).split("\n");
    const at = lines.findIndex((line) => line.includes(`vmap @${verdictMap(flowtablePart)}`));
    const handle = (line: string | undefined) => / handle (\d+)$/.exec(line ?? "")?.[1] ?? "";
    if (on === at >= 0) return;
    if (!on) {
      this.offload = { rule: lines[at]?.replace(/ # handle.*/, "").trim() ?? "", before: handle(lines[at + 1]) };
      await run("nft", ["delete", "rule", ...chain, "handle", handle(lines[at])]);
    } else {
      const { rule, before } = this.offload;
      await run("nft", [`insert rule ${chain.join(" ")} position ${before} ${rule}`]);
    }
  }
  private offload = { rule: "", before: "" };

  /** Packets by reason, over all tenants; "forwarded" are those that XDP sent. */
  reasons(): Map<string, number> {
    const sums = new Map<string, number>();
    for (const counts of readReasons(this.pins, [0, ...this.tenants]).values())
      for (const [reason, { packets }] of Object.entries(counts)) sums.set(reason, (sums.get(reason) ?? 0) + packets);
    const rules = [...readForwarded(this.pins, this.tenants).values()].flat();
    sums.set(
      "forwarded",
      rules.reduce((sum, { tiers }) => sum + tiers.xdp.packets, 0),
    );
    return sums;
  }

  /** Of the packets that XDP dropped or passed up, how many there were so far, by reason. Empty when it is not on. */
  decided(): Map<string, number> {
    const sums = new Map<string, number>();
    if (!this.isFast) return sums;
    reasons.forEach(({ name }, index) => {
      for (const tenant of [0, ...this.tenants]) {
        const values = this.stats.getPerCpu(u32(tenant * reasonSlots + index)) ?? [];
        const packets = values.reduce((sum, value) => sum + readU64(value, 0), 0n);
        sums.set(name, (sums.get(name) ?? 0) + Number(packets));
      }
    });
    return sums;
  }

  async stop(): Promise<void> {
    for (const wire of this.wires) wire[Symbol.dispose]();
    this.pass.close();
    this.stats.close();
    await teardown(instance);
    for (const { nic } of this.site.cables) await here.ip(`link del ${nic}`);
    await this.far.delete();
  }
}
