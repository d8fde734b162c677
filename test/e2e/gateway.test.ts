// The demo's checks on real traffic: the same lab, run once, one test a check.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import type { TunnelKind } from "../../src/model/desired.js";
import type { DemoReport } from "../../vm/demo.js";
import { checks } from "../../vm/lab/checks.js";

const demo = fileURLToPath(new URL("../../dist/vm/demo.js", import.meta.url));

/** @param only ids of checks; all when missing */
function theLab(tunnel: TunnelKind, only?: readonly string[]): void {
  const expected = checks.filter(({ id }) => only?.includes(id) ?? true);
  let report: DemoReport;

  beforeAll(() => {
    const folder = mkdtempSync(join(tmpdir(), "xgw-e2e-"));
    const file = join(folder, "report.json");
    const args = ["--quiet", "--report", file, "--tunnel", tunnel, ...(only ? ["--only", only.join(",")] : [])];
    const { stderr } = spawnSync(process.execPath, [demo, ...args], { encoding: "utf8" });
    try {
      report = JSON.parse(readFileSync(file, "utf8")) as DemoReport;
    } catch (cause) {
      throw new Error(`the lab left no report: ${stderr}`, { cause });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  for (const { id, title, wanted } of expected)
    it(`${title}: ${wanted}`, () => {
      const result = report.checks.find((check) => check.id === id);
      expect(result, "the check was not run").toBeDefined();
      expect(result?.ok, `seen: ${result?.seen}; wanted: ${wanted}`).toBe(true);
    });
}

describe("the seed deployment on gretap tunnels", () => theLab("gretap"));

describe("the seed deployment on gre tunnels", () => theLab("gre", ["ping", "user1-reaches-client", "udp", "tiers"]));
