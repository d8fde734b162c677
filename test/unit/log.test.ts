import { describe, expect, it } from "vitest";
import { createLogger } from "../../src/log.js";
import { chooseLevel } from "../../src/log-level.js";

describe("the level", () => {
  it.each([
    ["--log-level before -v", { option: "error", verbose: 2, environment: "info" }, "error"],
    ["-v before XGW_LOG", { verbose: 1, environment: "error" }, "debug"],
    ["-vv for everything", { verbose: 2 }, "trace"],
    ["XGW_LOG before the command's own", { environment: "error", fallback: "info" }, "error"],
    ["the command's own when XGW_LOG is no level", { environment: "loud", fallback: "info" }, "info"],
    ["warn when nobody says", {}, "warn"],
  ] as const)("is %s", (_what, choice, wanted) => {
    expect(chooseLevel(choice)).toBe(wanted);
  });
});

/** What a logger writes to something that is, or is not, a terminal. */
function written(isTTY: boolean, log: (logger: ReturnType<typeof createLogger>) => void): string {
  let text = "";
  const target = {
    isTTY,
    write: (more: string) => {
      text += more;
    },
  };
  log(createLogger({ level: "info", target, colour: false }));
  return text;
}

it("a machine gets JSON with the level's name and the data as fields", () => {
  const line = JSON.parse(written(false, (logger) => logger.info({ tenant: "user1", key: 1000 }, "tenant added")));
  expect(line).toEqual({ level: "info", time: expect.any(String), tenant: "user1", key: 1000, msg: "tenant added" });
});

it("a person gets one line with the data behind the message", () => {
  const line = written(true, (logger) => logger.warn({ tenant: "user1", why: "no route" }, "tenant skipped"));
  expect(line).toMatch(/^\d\d:\d\d:\d\d\.\d{3} warn {2}tenant skipped tenant=user1 why="no route"\n$/);
});

it("a person gets an error's stack below its line", () => {
  const text = written(true, (logger) => logger.error({ err: new Error("boom") }, "apply failed"));
  expect(text.split("\n").slice(0, 2)).toEqual([expect.stringMatching(/error apply failed$/), "Error: boom"]);
});

it("what lies below the level is not written", () => {
  expect(written(false, (logger) => logger.debug("detail"))).toBe("");
});
