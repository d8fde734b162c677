/** libbpf-ts on a map of a million entries, beside a C program of the same system calls; see bench/native/maps.ts. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("./native/maps.js", import.meta.url));

/** What is read of what the program prints. */
export interface Bindings {
  readonly entries: number;
  readonly rounds: number;
  /** libbpf-ts's time divided by C's, medians. */
  readonly ratio: Readonly<Record<"batchUpdate" | "batchRead" | "batchDelete" | "get" | "set", number>>;
  readonly perSecond: Readonly<Record<string, number>>;
  /** Resident memory over that of bare Node.js. */
  readonly restingBytes: Readonly<Record<"node" | "withLibbpfTs" | "withVmlinuxBtf", number>>;
}

/** In a process of its own: its memory and garbage are no part of the other measurements. */
export function measureBindings(rounds: number): Bindings {
  return JSON.parse(execFileSync(process.execPath, [program, "--rounds", `${rounds}`], { encoding: "utf8" }));
}
