/** Where the figures come from. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { arch, cpus, loadavg, release, totalmem } from "node:os";

export interface Machine {
  readonly cpu: string;
  readonly cpus: number;
  readonly arch: string;
  readonly memoryMiB: number;
  readonly kernel: string;
  readonly hypervisor: boolean;
  readonly jit: string;
  readonly node: string;
  readonly clang: string;
  readonly commit: string;
  /** 1-minute load average before the run; the benchmark itself makes 1. */
  readonly loadBefore: number;
}

function firstLine(command: string, ...args: string[]): string {
  try {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).split("\n")[0] ?? "";
  } catch {
    return "unknown";
  }
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cpus: cpus().length,
    arch: arch(),
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    hypervisor: readFileSync("/proc/cpuinfo", "utf8").includes("hypervisor"),
    jit: readFileSync("/proc/sys/net/core/bpf_jit_enable", "utf8").trim(),
    node: process.version,
    clang: firstLine("clang-19", "--version"),
    commit: firstLine("git", "describe", "--always", "--dirty"),
    loadBefore: loadavg()[0] ?? 0,
  };
}
