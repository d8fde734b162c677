// A flow table with 1,048,576 lines in use, looked at as `xgw flow` does, in a process whose memory is watched.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import type { Costs } from "../../bench/flows/child.js";

const lines = 1_048_576;
/** A few find all places of their bucket taken, and take others'. */
const atLeast = 0.999 * (lines / 2);
const child = fileURLToPath(new URL("../../dist/bench/flows/child.js", import.meta.url));

describe(`${lines} lines`, () => {
  let costs: Costs;
  beforeAll(() => {
    const command = ["--net", process.execPath, "--expose-gc", child, String(lines)];
    costs = JSON.parse(execFileSync("unshare", command, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }));
  });

  it("are all looked at, and the connections with the most packets are shown, in order", () => {
    const { matched, rows, first, last } = costs.filtered;
    expect(matched).toBeGreaterThan(atLeast);
    expect([rows, first]).toEqual([20, lines / 2 - 1]);
    expect(last).toBeLessThanOrEqual(lines / 2 - 20);
  });

  it("are listed one by one, each connection once", () => {
    expect(costs.all.rows).toBeGreaterThan(atLeast);
    expect(costs.all.rows).toBeLessThanOrEqual(lines / 2);
  });

  it("take no 50 MiB of memory to list, filtered or not", () => {
    expect(Math.max(costs.filtered.extraMib, costs.all.extraMib)).toBeLessThan(50);
  });

  it("are filtered within 2 s of a CPU", () => expect(costs.filtered.cpuSeconds).toBeLessThan(2));

  it("are watched by top without a copy of the table, which has 128 MiB", () => {
    expect(costs.topExtraMib).toBeLessThan(50);
    expect(costs.topRows).toBe(20);
  });
});
