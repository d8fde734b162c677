import { describe, expect, it } from "vitest";
import { patienceMs, run } from "../../../src/kernel/spawn.js";

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
