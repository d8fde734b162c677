/** What must be true before anything is changed: privilege, kernel, modules. */

import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { KernelError, PermissionError } from "../errors.js";
import { run } from "./spawn.js";
import { readSysctl } from "./sysctl.js";

/** The first with conntrack look-ups by zone from XDP and tc, and flowtables that work with all of it. */
const kernelFloor = [6, 12] as const;

/** Capability numbers, linux/capability.h. */
const capabilities = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21, CAP_BPF: 39 } as const;

/** Of VRF, GRE, conntrack, how it is asked, flowtables and nft; others come with them. */
const modules = ["vrf", "ip_gre", "nf_conntrack", "nf_conntrack_netlink", "nf_flow_table", "nf_tables"] as const;

/** @throws PermissionError, KernelError */
export function checkHost(): void {
  checkCapabilities();
  checkKernel(release());
}

/** @throws PermissionError */
export function checkCapabilities(): void {
  const status = readFileSync("/proc/self/status", "utf8");
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`);
  const has = (bit: number) => (effective >> BigInt(bit)) & 1n;
  const missing = Object.entries(capabilities).filter(([, bit]) => !has(bit));
  if (missing.length === 0) return;
  throw new PermissionError(`xgw lacks ${missing.map(([name]) => name).join(", ")}`, { remedy: "run it as root" });
}

/** @param version as `uname -r` prints it */
export function checkKernel(version: string): void {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  const [floorMajor, floorMinor] = kernelFloor;
  if (major > floorMajor || (major === floorMajor && minor >= floorMinor)) return;
  throw new KernelError(`Linux ${version} is too old: xgw needs ${kernelFloor.join(".")} or later`, {
    remedy: "install a newer kernel (on Debian 12: linux-image-amd64 from bookworm-backports) and boot it",
  });
}

/**
 * Loads the modules and sees that the kernel has what they bring, built in or not.
 *
 * @throws KernelError when it has not
 */
export async function loadModules(): Promise<void> {
  await run("modprobe", ["-q", "-a", ...modules], { okCodes: [1] });
  const missing = missingFeatures();
  if (missing.length === 0) return;
  throw new KernelError(`Linux ${release()} lacks ${missing.join(", ")}`, {
    remedy: "boot a kernel that has them, such as Debian's linux-image-amd64 (not the cloud flavour)",
  });
}

/** What the kernel has not, built in or as a module that is loaded. */
export function missingFeatures(): string[] {
  const probes: [string, boolean][] = [
    ["VRF devices (CONFIG_NET_VRF)", knows("net.vrf.strict_mode")],
    ["conntrack (CONFIG_NF_CONNTRACK)", knows("net.netfilter.nf_conntrack_max")],
    ["nft flowtables (CONFIG_NF_FLOW_TABLE)", knows("net.netfilter.nf_flowtable_tcp_timeout")],
    ["GRE (CONFIG_NET_IPGRE)", hasModule("ip_gre")],
  ];
  return probes.flatMap(([feature, isPresent]) => (isPresent ? [] : [feature]));
}

const knows = (sysctl: string) => readSysctl(sysctl) !== undefined;

/** One with parameters, as ip_gre is, has its folder also where it is built in. */
const hasModule = (name: string) => existsSync(`/sys/module/${name}`);
