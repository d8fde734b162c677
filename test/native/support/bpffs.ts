/** Before the tests that pin: a machine that has just booted, or a container, may have no bpffs. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

export const bpffs = "/sys/fs/bpf";

export default function ensureBpffs(): void {
  const isMounted = readFileSync("/proc/mounts", "utf8").includes(` ${bpffs} bpf `);
  if (!isMounted) execFileSync("mount", ["-t", "bpf", "bpf", bpffs]);
}
