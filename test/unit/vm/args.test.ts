import { describe, expect, it } from "vitest";
import { parseVmArgs } from "../../../vm/args.js";
import { parseTestArgs } from "../../../vm/test-args.js";

describe("npm run vm", () => {
  it("takes what follows its own options as the command, options and all", () => {
    const args = parseVmArgs(["--kernel", "7.2", "--stats", "ip", "--json", "link"]);
    expect(args).toMatchObject({ kernel: "7.2", stats: true, command: ["ip", "--json", "link"] });
  });

  it("takes what follows -- as the command", () => {
    expect(parseVmArgs(["--timeout", "5", "--", "--odd-name"])).toMatchObject({
      timeoutMs: 5000,
      command: ["--odd-name"],
    });
  });

  it("gives a command a time limit and a shell none", () => {
    expect(parseVmArgs(["true"]).timeoutMs).toBe(600_000);
    expect(parseVmArgs([]).timeoutMs).toBeUndefined();
  });

  it.each([["--timeout", "0"], ["--cpus", "two"], ["--memory", "1.5"], ["--nonsense"], ["--kernel"]])(
    "refuses %s %s",
    (...argv) => {
      expect(() => parseVmArgs(argv.filter((word) => word !== undefined))).toThrow();
    },
  );
});

describe("npm test", () => {
  it("runs all projects if none is named", () => {
    expect(parseTestArgs([]).projects).toEqual(["unit", "native", "bpf", "e2e"]);
  });

  it("tells projects from files", () => {
    const args = parseTestArgs(["e2e", "unit", "flows", "-t", "one", "--kernel", "7.2"]);
    expect(args).toMatchObject({ projects: ["unit", "e2e"], files: ["flows"], name: "one", kernel: "7.2" });
  });

  it("refuses an option that it does not know", () => {
    expect(() => parseTestArgs(["--watch"])).toThrow("--watch");
  });
});
