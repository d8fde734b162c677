// Which of the kernel's threads are asked whether packets are still under way, and how their state is read.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { isBusy, softirqThreads } from "../../../vm/lab/softirqs.js";

const proc = mkdtempSync(join(tmpdir(), "xgw-proc-"));
afterAll(() => rmSync(proc, { recursive: true }));

function thread(pid: number, name: string, state: string): void {
  mkdirSync(join(proc, String(pid)), { recursive: true });
  writeFileSync(join(proc, String(pid), "comm"), `${name}\n`);
  writeFileSync(join(proc, String(pid), "stat"), `${pid} (${name}) ${state} 2 0 0 0 -1 69238848 0 0\n`);
}

beforeEach(() => {
  thread(15, "ksoftirqd/0", "S");
  thread(21, "ksoftirqd/1", "S");
  thread(40, "node", "R");
});

describe("the threads of softirqs", () => {
  it("are one of each CPU", () => {
    expect(softirqThreads("", proc).sort()).toEqual(["15", "21"]);
  });

  it("may be asked for of one CPU", () => {
    expect(softirqThreads("1", proc)).toEqual(["21"]);
  });

  it("have nothing to do when all of them sleep", () => {
    expect(isBusy(["15", "21"], proc)).toBe(false);
  });

  it("have something to do when one of them runs or would like to", () => {
    thread(21, "ksoftirqd/1", "R");
    expect(isBusy(["15", "21"], proc)).toBe(true);
  });

  it("have nothing to do when they are not there, as in another namespace of processes", () => {
    expect(isBusy(["99"], proc)).toBe(false);
  });
});
