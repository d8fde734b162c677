import type { GuestResult } from "./guest.js";

/** Says why a guest ended if its command did not end it, and returns the exit status that stands for it. */
export function reportEnding(result: GuestResult, timeoutMs: number | undefined, log: (line: string) => void): number {
  switch (result.ended) {
    case "exit":
      return result.exitCode ?? 125;
    case "aborted":
      return 130;
    case "timeout":
      log(`ended after ${(timeoutMs ?? 0) / 1000} s, the time limit${consoleLines(result)}`);
      return 124;
    case "crash":
      log(`${crashCause(result.consoleTail)}${consoleLines(result)}`);
      return 125;
  }
}

function crashCause(console: string): string {
  if (/Kernel panic|Oops|BUG: /.test(console)) return "the guest's kernel panicked";
  return /xgw-vm: (.*)/.exec(console)?.[1]?.trim() ?? "the guest ended without a word";
}

function consoleLines({ consoleTail }: GuestResult): string {
  const lines = consoleTail.trim().split(/\r?\n/).slice(-60);
  return consoleTail.trim() === "" ? "" : `; its console:\n${lines.map((line) => `  | ${line}`).join("\n")}`;
}
