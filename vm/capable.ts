// Whether the kernel that runs here can do what xgw needs. Nothing is left behind: all is tried in a network namespace
// of its own that ends with the process in it.
import { existsSync } from "node:fs";
import { release } from "node:os";
import { exec, succeeds } from "./exec.js";
import { atLeast } from "./release.js";

export const oldestKernel = "6.12";

/** What keeps BPF programs from being loaded and test-run here; empty if nothing does. */
export async function missingForBpf(): Promise<string[]> {
  const missing: string[] = [];
  if (process.getuid?.() !== 0) missing.push("root");
  if (!atLeast(release(), oldestKernel)) missing.push(`Linux ${oldestKernel}`);
  if (!existsSync("/sys/kernel/btf/vmlinux")) missing.push("BTF");
  // The programs call conntrack's kfuncs.
  if (
    missing.length === 0 &&
    !existsSync("/proc/sys/net/netfilter") &&
    !(await succeeds("modprobe", ["nf_conntrack"]))
  ) {
    missing.push("conntrack");
  }
  return missing;
}

const gatewayParts: Readonly<Record<string, string>> = {
  VRF: "ip link add xgw-v type vrf table 4242",
  GRE: "ip link add xgw-g type gretap local 127.0.0.1 key 1",
  "lightweight tunnels": "ip link set lo up && ip route add 192.0.2.0/24 encap ip id 1 dst 127.0.0.1 dev lo",
  flowtables:
    "nft 'table ip t { flowtable f { hook ingress priority 0; devices = { lo }; };" +
    " chain c { type filter hook forward priority 0; ip protocol tcp flow add @f; }; }'",
};

/** What keeps the whole gateway from running here; empty if nothing does. */
export async function missingForGateway(): Promise<string[]> {
  const missing = await missingForBpf();
  if (missing.includes("root")) return missing;
  const script = Object.values(gatewayParts).map((test, index) => `{ ${test}; } >/dev/null 2>&1 || echo ${index}`);
  const failed = await exec("unshare", ["--net", "sh", "-c", script.join("\n")]).catch(() => undefined);
  if (failed === undefined) return [...missing, "network namespaces"];
  const names = Object.keys(gatewayParts);
  return [...missing, ...names.filter((_, index) => failed.split("\n").includes(String(index)))];
}
