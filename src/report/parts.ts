/** What a report collects: a file each, and the command whose output it is. Data only. */

export interface Part {
  /** In the archive. */
  readonly file: string;
  /** With arguments; `xgw` is this one. */
  readonly command: readonly string[];
}

const xgw = (file: string, ...words: string[]): Part => ({ file: `xgw/${file}`, command: ["xgw", ...words] });

const inspection: readonly Part[] = [
  xgw("version.txt", "--version"),
  xgw("status.txt", "status", "--rules"),
  xgw("status.json", "status", "-p"),
  xgw("doctor.txt", "doctor"),
  xgw("doctor.json", "doctor", "-p"),
  xgw("plan.txt", "plan"),
  xgw("validate.txt", "validate"),
  xgw("prog.txt", "prog", "show", "-f"),
  xgw("prog.json", "prog", "show", "-p"),
  xgw("map.txt", "map", "show", "-f"),
  xgw("map.json", "map", "show", "-p"),
  xgw("link.txt", "link", "show", "-f"),
  xgw("link.json", "link", "show", "-p"),
  xgw("net-all.txt", "net", "show", "--all"),
  xgw("net.json", "net", "show", "-p"),
  xgw("flows.txt", "flow", "list", "--limit", "200"),
  xgw("flow-top.txt", "flow", "top", "--limit", "50"),
];

const sysctls = [
  "^kernel\\.(bpf_stats_enabled|unprivileged_bpf_disabled|osrelease|version|tainted)",
  "^net\\.core\\.(bpf|netdev_(budget|max_backlog)|default_qdisc|rps)",
  "^net\\.ipv4\\.(ip_forward|ipfrag|tcp_l3mdev|udp_l3mdev|fib_multipath)",
  "^net\\.ipv4\\.conf\\.(all|default)\\.(rp_filter|forwarding|send_redirects|accept_redirects|arp_|promote)",
  "^net\\.ipv[46]\\.(neigh\\.default\\.gc|route\\.)",
  "^net\\.ipv6\\.conf\\.all\\.(forwarding|disable_ipv6)",
  "^net\\.(netfilter|bridge|vrf)\\.",
];

const machine: readonly Part[] = [
  { file: "machine/kernel.txt", command: ["uname", "-a"] },
  { file: "machine/os-release.txt", command: ["cat", "/etc/os-release"] },
  { file: "machine/command-line.txt", command: ["cat", "/proc/cmdline"] },
  { file: "machine/iproute2.txt", command: ["ip", "-V"] },
  { file: "machine/nft.txt", command: ["nft", "--version"] },
  { file: "machine/packages.txt", command: ["dpkg-query", "-W", "xgw", "nodejs", "nftables", "iproute2", "kmod"] },
  { file: "machine/modules.txt", command: ["cat", "/proc/modules"] },
  { file: "machine/sysctls.txt", command: ["sysctl", "-a", "--pattern", sysctls.join("|")] },
  { file: "machine/cpus.txt", command: ["lscpu"] },
  { file: "machine/memory.txt", command: ["cat", "/proc/meminfo"] },
  { file: "machine/interrupts.txt", command: ["cat", "/proc/interrupts"] },
  { file: "machine/softnet.txt", command: ["cat", "/proc/net/softnet_stat"] },
  { file: "machine/mounts.txt", command: ["cat", "/proc/self/mountinfo"] },
  { file: "machine/dmesg.txt", command: ["dmesg", "--ctime"] },
  { file: "machine/journal.txt", command: ["journalctl", "-u", "xgw", "-n", "5000", "--no-pager", "-o", "short-iso"] },
  { file: "machine/unit.txt", command: ["systemctl", "show", "xgw.service", "--no-pager"] },
];

/** Where the running kernel's config is: the first that there is. */
export const kernelConfigs = (release: string): readonly (readonly string[])[] => [
  ["zgrep", "-E", kernelOptions, "/proc/config.gz"],
  ["grep", "-E", kernelOptions, `/boot/config-${release}`],
];
const kernelOptions =
  "BPF|XDP|CONFIG_(NET_VRF|NET_IPGRE|NET_IPGRE_DEMUX|NET_L3_MASTER_DEV|VETH|BONDING|VLAN_8021Q|NET_SCH_INGRESS|HZ|PREEMPT|DEBUG_INFO_BTF)|NF_(CONNTRACK|FLOW|TABLES|NAT)|NFT_";

const network: readonly Part[] = [
  { file: "network/links.txt", command: ["ip", "-d", "-s", "link", "show"] },
  { file: "network/addresses.txt", command: ["ip", "address", "show"] },
  { file: "network/vrfs.txt", command: ["ip", "vrf", "show"] },
  { file: "network/rules-ipv4.txt", command: ["ip", "-4", "rule", "show"] },
  { file: "network/rules-ipv6.txt", command: ["ip", "-6", "rule", "show"] },
  { file: "network/routes-ipv4.txt", command: ["ip", "-d", "-4", "route", "show", "table", "all"] },
  { file: "network/routes-ipv6.txt", command: ["ip", "-d", "-6", "route", "show", "table", "all"] },
  { file: "network/neighbours.txt", command: ["ip", "-s", "neighbour", "show"] },
  { file: "network/nft.txt", command: ["nft", "-n", "list", "ruleset"] },
  { file: "network/conntrack.txt", command: ["conntrack", "-S"] },
  { file: "network/conntrack-count.txt", command: ["conntrack", "-C"] },
  { file: "network/qdiscs.txt", command: ["tc", "-s", "qdisc", "show"] },
  { file: "network/sockets.txt", command: ["ss", "-s"] },
];

const ethtool = [
  ["driver", "-i"],
  ["features", "-k"],
  ["statistics", "-S"],
  ["rings", "-g"],
  ["channels", "-l"],
] as const;

/** By number, for the name may be nobody's business. */
const nicParts = (nics: readonly string[]): Part[] =>
  nics.flatMap((nic, n) =>
    ethtool.map(([what, option]) => ({ file: `nics/${n + 1}-${what}.txt`, command: ["ethtool", option, nic] })),
  );

/** @param nics whose drivers are asked */
export const partsOf = (nics: readonly string[]): readonly Part[] => [
  ...inspection,
  ...machine,
  ...network,
  ...nicParts(nics),
];
