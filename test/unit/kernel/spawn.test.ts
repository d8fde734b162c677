import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { capture, patienceMs, run, startDetached } from "../../../src/kernel/spawn.js";

it("gives input, and takes output", async () => {
  expect(await run("cat", [], { input: "as it was" })).toEqual({ code: 0, stdout: "as it was", stderr: "" });
});

it("knows no shell: arguments arrive as they are", async () => {
  const arguments_ = ["$HOME", "a b", "; echo", "*"];
  const { stdout } = await run("printf", ["%s\n", ...arguments_]);
  expect(stdout.split("\n").slice(0, -1)).toEqual(arguments_);
});

it("speaks the untranslated language, so that errors can be matched", async () => {
  expect((await run("sh", ["-c", "echo $LC_ALL"])).stdout).toBe("C\n");
});

it("takes input that nobody reads without harm", async () => {
  expect((await run("true", [], { input: "x".repeat(1_000_000) })).code).toBe(0);
});

it("has minutes for a question, and more for the changes of thousands of tenants", () => {
  const devices = "link del dev xgre1000\n".repeat(8000);
  expect([patienceMs(), patienceMs(devices)]).toEqual([300_000, 700_000]);
});

describe("a program that is left behind", () => {
  it("has begun when it says something", async () => {
    const file = join(mkdtempSync(join(tmpdir(), "xgw-left-")), "pid");
    await startDetached("sh", ["-c", `echo $$ > ${file}; echo begun; exec sleep 60`]);
    const pid = Number(readFileSync(file, "utf8"));
    expect(process.kill(pid, 0)).toBe(true);
    process.kill(pid, "SIGKILL");
  });

  it("and has not when it ends without a word: why, in its own words", async () => {
    await expect(startDetached("sh", ["-c", "echo cannot >&2; exit 3"])).rejects.toThrow(/^sh -c .*: cannot$/);
    await expect(startDetached("true", [])).rejects.toThrow(/ended with 0/);
  });
});

describe("a failure", () => {
  it("says what was run, and the program's own words", async () => {
    await expect(run("sh", ["-c", "echo broken >&2; exit 3"])).rejects.toMatchObject({
      code: "XGW_FAILED",
      message: "sh -c echo broken >&2; exit 3: broken",
    });
  });

  it("without words is its exit code", async () => {
    await expect(run("sh", ["-c", "exit 3"])).rejects.toMatchObject({ message: "sh -c exit 3: exit code 3" });
  });

  it("that is expected is a result", async () => {
    expect((await run("sh", ["-c", "exit 3"], { okCodes: [3] })).code).toBe(3);
  });

  it("by a signal names it", async () => {
    await expect(run("sh", ["-c", "kill -TERM $$"])).rejects.toMatchObject({
      message: expect.stringContaining("killed by SIGTERM"),
    });
  });

  it("to end in time ends in a kill", async () => {
    await expect(run("sleep", ["60"], { timeoutMs: 50 })).rejects.toMatchObject({
      message: expect.stringContaining("killed by SIGKILL"),
    });
  });

  it("to find the program is the kernel's side of things, with the package to install", async () => {
    await expect(run("no-such-program-xgw", [])).rejects.toMatchObject({
      code: "XGW_KERNEL",
      exitCode: 3,
      message: "no-such-program-xgw is not installed",
      remedy: "install no-such-program-xgw",
    });
  });
});

describe("what is captured", () => {
  const bounds = { timeoutMs: 60_000, maxBytes: 1000 };

  it("of a program that fails is what it said, and its exit code", async () => {
    const captured = await capture("sh", ["-c", "echo said; echo complained >&2; exit 3"], bounds);
    expect({ ...captured, stdout: String(captured.stdout) }).toEqual({
      ...{ exitCode: 3, stdout: "said\n", stderr: "complained\n", truncated: false, timedOut: false },
    });
  });

  it("of one that never ends is what it said in its time", async () => {
    const { stdout, timedOut, exitCode } = await capture("sh", ["-c", "echo said; sleep 600"], {
      ...bounds,
      timeoutMs: 500,
    });
    expect([String(stdout), timedOut, exitCode]).toEqual(["said\n", true, undefined]);
  });

  it("of one that says too much is the start, and the program is killed", async () => {
    const { stdout, truncated, timedOut } = await capture("yes", [], bounds);
    expect([String(stdout), truncated, timedOut]).toEqual(["y\n".repeat(500), true, false]);
  });

  it("can be the end", async () => {
    const { stdout, truncated, exitCode } = await capture("seq", ["100000"], { ...bounds, keep: "end" });
    expect([stdout.length, String(stdout).endsWith("\n99999\n100000\n"), truncated, exitCode]).toEqual([
      ...[1000, true, true, 0],
    ]);
  });

  it("ends together with what the program has started", async () => {
    const { stdout } = await capture("sh", ["-c", "sleep 600 & echo $!; wait"], { ...bounds, timeoutMs: 500 });
    await vi.waitFor(() => expect(isAlive(Number(String(stdout)))).toBe(false));
  });

  it("is nothing of what is not installed", async () => {
    await expect(capture("no-such-program", [], bounds)).rejects.toThrow("no-such-program is not installed");
  });
});

/** A process that has ended and that nobody has waited for is a zombie. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
