// What XDP sends is what the kernel would have sent: some random packets each time, and those that once failed.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import type { DifferentialReport } from "../../vm/differential.js";

const program = fileURLToPath(new URL("../../dist/vm/differential.js", import.meta.url));

function reportOf(...args: string[]): DifferentialReport {
  const folder = mkdtempSync(join(tmpdir(), "xgw-e2e-"));
  const file = join(folder, "report.json");
  const { stdout, stderr } = spawnSync(process.execPath, [program, ...args, "--report", file], { encoding: "utf8" });
  process.stderr.write(stdout);
  try {
    return JSON.parse(readFileSync(file, "utf8")) as DifferentialReport;
  } catch (cause) {
    throw new Error(`the test left no report: ${stdout}${stderr}`, { cause });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("random and adversarial packets, with XDP and without", () => {
  let report: DifferentialReport;
  beforeAll(() => {
    report = reportOf("--seeds", "2", "--packets", "200", "--kept");
  });

  it("nothing else leaves the gateway", () => {
    expect(report.seeds.flatMap(({ seed, mismatches }) => mismatches.map((text) => `seed ${seed}: ${text}`))).toEqual(
      [],
    );
  });

  it("XDP sends a good part of them, so that there is something to compare", () => {
    for (const { seed, packets, reasons, only } of report.seeds)
      if (only === undefined) expect(reasons.forwarded ?? 0, `seed ${seed}`).toBeGreaterThan(packets / 5);
  });
});

describe("fifty tenants with the identical tuple at once", () => {
  let tenants: DifferentialReport["tenants"];
  beforeAll(() => {
    tenants = reportOf("--tenants", "50").tenants;
  });

  it("every packet leaves under its own key, with its own payload", () => {
    expect(tenants?.wrong).toEqual([]);
    expect(tenants?.right).toBe(tenants?.sent);
  });

  it("conntrack finds room for every connection", () => {
    expect(tenants?.insertFailed).toBe(0);
  });

  it("XDP sends all but the first of them", () => {
    expect(tenants?.forwarded).toBeGreaterThanOrEqual(50 * 4);
  });
});
