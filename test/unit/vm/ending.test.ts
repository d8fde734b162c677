import { describe, expect, it } from "vitest";
import { reportEnding } from "../../../vm/ending.js";
import type { GuestResult } from "../../../vm/guest.js";

function report(result: Partial<GuestResult>) {
  const lines: string[] = [];
  const whole = { exitCode: undefined, ended: "crash", consoleTail: "", bootMs: 1, totalMs: 2, ...result } as const;
  return { status: reportEnding(whole, 4000, (line) => lines.push(line)), text: lines.join("\n") };
}

describe("how a guest ended", () => {
  it("is silent about a command that ended, whatever its status", () => {
    expect(report({ ended: "exit", exitCode: 7 })).toEqual({ status: 7, text: "" });
  });

  it("names the time limit", () => {
    const { status, text } = report({ ended: "timeout" });
    expect(status).toBe(124);
    expect(text).toContain("4 s");
  });

  it("tells a panic, with what the kernel said", () => {
    const { status, text } = report({ consoleTail: "[ 1.0] Kernel panic - not syncing: sysrq triggered crash\r\n" });
    expect(status).toBe(125);
    expect(text).toContain("panicked");
    expect(text).toContain("| [ 1.0] Kernel panic - not syncing: sysrq triggered crash");
  });

  it("passes on why the guest gave up", () => {
    expect(report({ consoleTail: "xgw-vm: cannot insert 9p.ko\r\n" }).text).toContain("cannot insert 9p.ko");
  });
});
