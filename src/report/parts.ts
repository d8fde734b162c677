/** What a report is made of: a table. */

import { readdirSync } from "node:fs";
import { release } from "node:os";
import { dirname, join } from "node:path";
import { isVisibleYaml } from "../config/load.js";
import { readLinks } from "../kernel/rtnetlink.js";
import { instanceOf } from "../plan/owner.js";

/** Where the text of a part comes from. */
export type Source =
  | { readonly command: readonly [program: string, ...args: string[]] }
  /** `xgw` itself, with these words. */
  | { readonly xgw: readonly string[] }
  | { readonly path: string }
  | { readonly url: string };

export interface Part {
  /** In the report. */
  readonly file: string;
  readonly source: Source;
  /** Of a text that is too long: by default the start. */
  readonly keep?: "start" | "end";
  /** Only these lines. */
  readonly lines?: RegExp;
  /** The config, which may have comments and names. */
  readonly isConfig?: true;
}

/** NICs whose settings are told; others are in `ip -d link`. */
const maxNics = 16;
const maxConfigFiles = 200;
const flowsListed = "1000";

const settings = [
  "^net\\.ipv4\\.(ip_forward|conf\\.(all|default)\\.|neigh\\.default\\.|tcp_l3mdev|udp_l3mdev|raw_l3mdev|ip_local_port|icmp_)",
  "^net\\.(netfilter|core|vrf|bridge)\\.|^net\\.nf_conntrack|^net\\.ipv6\\.conf\\.(all|default)\\.(forwarding|disable_ipv6)",
  "^kernel\\.(unprivileged_bpf_disabled|bpf_stats_enabled|osrelease|tainted|panic)",
].join("|");

const kernelOptions =
  /^(# )?CONFIG_(BPF|XDP|DEBUG_INFO_BTF|NET_(VRF|L3|IPGRE|SCH_INGRESS|CLS_ACT)|NETFILTER|NF_|NFT_|BRIDGE_NETFILTER|VETH|BONDING|VLAN_8021Q|HZ|PREEMPT|IO_URING|KALLSYMS)/;

const options = ["-k", "-i", "-S", "-l", "-g", "-c", "-a"] as const;
const optionNames: Readonly<Record<(typeof options)[number], string>> = {
  "-k": "features",
  "-i": "driver",
  "-S": "statistics",
  "-l": "channels",
  "-g": "rings",
  "-c": "coalescing",
  "-a": "pause",
};

/** The first ones are those that a report must not be without, for time may run out. */
export function reportParts(configFile: string, metricsListen: string | undefined): Part[] {
  return [
    ...xgwParts(),
    ...configParts(configFile),
    ...(metricsListen === undefined
      ? []
      : [{ file: "xgw/metrics.txt", source: { url: `http://${metricsListen}/metrics` } }]),
    ...systemParts,
    ...networkParts,
    ...logParts,
    ...nicParts(),
  ];
}

const xgw = (file: string, ...words: string[]): Part => ({ file: `xgw/${file}`, source: { xgw: words } });

const command = (file: string, ...words: [string, ...string[]]): Part => ({ file, source: { command: words } });

const xgwParts = (): Part[] => [
  xgw("version.txt", "--version"),
  xgw("status.txt", "status", "--rules"),
  xgw("status.json", "status", "-p"),
  xgw("doctor.txt", "doctor"),
  xgw("doctor.json", "doctor", "-p"),
  xgw("plan.txt", "plan"),
  xgw("validate.txt", "validate"),
  xgw("prog.json", "prog", "show", "-f", "-p"),
  xgw("map.json", "map", "show", "-f", "-p"),
  xgw("link.json", "link", "show", "-f", "-p"),
  xgw("net.json", "net", "show", "-p"),
  xgw("tenants.txt", "tenant"),
  xgw("top.txt", "top", "--batch", "--times", "1"),
  xgw("flows.txt", "flow", "list", "--sort", "none", "--limit", flowsListed),
  xgw("flows-top.txt", "flow", "top", "--limit", "50"),
];

function configParts(configFile: string): Part[] {
  const directory = join(dirname(configFile), "tenants.d");
  let names: string[] = [];
  try {
    names = readdirSync(directory).filter(isVisibleYaml).sort().slice(0, maxConfigFiles);
  } catch {
    // Most configs have none.
  }
  const main: Part = { file: "config/xgw.yaml", source: { path: configFile }, isConfig: true };
  return [
    main,
    ...names.map(
      (name): Part => ({
        file: `config/tenants.d/${name}`,
        source: { path: join(directory, name) },
        isConfig: true,
      }),
    ),
  ];
}

const systemParts: readonly Part[] = [
  command("versions/kernel.txt", "uname", "-a"),
  { file: "versions/distribution.txt", source: { path: "/etc/os-release" } },
  command("versions/nft.txt", "nft", "-V"),
  command("versions/iproute2.txt", "ip", "-V"),
  command("versions/ethtool.txt", "ethtool", "--version"),
  command("versions/bpftool.txt", "bpftool", "version"),
  command("versions/conntrack.txt", "conntrack", "--version"),
  command("versions/packages.txt", "dpkg-query", "-W", "xgw", "nodejs", "nftables", "iproute2", "libelf1*", "systemd"),
  { file: "kernel/config.txt", source: { path: `/boot/config-${release()}` }, lines: kernelOptions },
  { file: "kernel/cmdline.txt", source: { path: "/proc/cmdline" } },
  { file: "kernel/modules.txt", source: { path: "/proc/modules" } },
  command("kernel/sysctl.txt", "sysctl", "-a", "--pattern", settings),
  { file: "kernel/memory.txt", source: { path: "/proc/meminfo" } },
  { file: "kernel/mounts.txt", source: { path: "/proc/self/mounts" }, lines: / (bpf|tracefs|debugfs|cgroup2|sysfs) / },
  { file: "kernel/interrupts.txt", source: { path: "/proc/interrupts" } },
  { file: "kernel/softnet.txt", source: { path: "/proc/net/softnet_stat" } },
  command("kernel/cpus.txt", "lscpu"),
];

const networkParts: readonly Part[] = [
  command("network/link.txt", "ip", "-d", "-s", "link", "show"),
  command("network/address.txt", "ip", "address", "show"),
  command("network/vrf.txt", "ip", "vrf", "show"),
  command("network/rule.txt", "ip", "-4", "rule", "show"),
  command("network/rule6.txt", "ip", "-6", "rule", "show"),
  command("network/route.txt", "ip", "-4", "route", "show", "table", "all"),
  command("network/route6.txt", "ip", "-6", "route", "show", "table", "all"),
  command("network/neighbour.txt", "ip", "-s", "neighbour", "show"),
  command("network/qdisc.txt", "tc", "-s", "qdisc", "show"),
  command("network/nft.txt", "nft", "list", "ruleset"),
  command("network/conntrack.txt", "conntrack", "-S"),
  command("network/conntrack-count.txt", "conntrack", "-C"),
  command("network/counters.txt", "nstat", "-asz"),
];

const logParts: readonly Part[] = [
  { ...command("logs/dmesg.txt", "dmesg", "-T"), keep: "end" },
  {
    ...command("logs/journal.txt", "journalctl", "-u", "xgw", "-n", "5000", "--no-pager", "-o", "short-iso"),
    keep: "end",
  },
  command("logs/unit.txt", "systemctl", "show", "xgw"),
];

/** Of the NICs that xgw has not made, and no tunnel's or VRF's. */
function nicParts(): Part[] {
  const kinds = [undefined, "veth", "bond", "vlan", "bridge", "team", "macvlan"];
  const nics = readLinks().filter(
    ({ name, kind, alias = "" }) => name !== "lo" && kinds.includes(kind) && instanceOf(alias) === undefined,
  );
  return nics
    .slice(0, maxNics)
    .flatMap(({ name, kind }) => [
      ...options.map((option) => command(`nics/${name}/${optionNames[option]}.txt`, "ethtool", option, name)),
      ...(kind === "bond" ? [{ file: `nics/${name}/bond.txt`, source: { path: `/proc/net/bonding/${name}` } }] : []),
    ]);
}
