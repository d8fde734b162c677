// A public side of plain IP in a VLAN of a second NIC, on real traffic: one lab for all of it, one test a check.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import type { CheckResult } from "../../vm/lab/check.js";
import { uplinkChecks } from "../../vm/uplink.js";

const program = fileURLToPath(new URL("../../dist/vm/uplink.js", import.meta.url));

describe("with a plain uplink", () => {
  let results: readonly CheckResult[];

  beforeAll(() => {
    const folder = mkdtempSync(join(tmpdir(), "xgw-e2e-"));
    const file = join(folder, "report.json");
    const { stdout, stderr } = spawnSync(process.execPath, [program, file], { encoding: "utf8" });
    try {
      results = JSON.parse(readFileSync(file, "utf8")) as CheckResult[];
      for (const { title, seen } of results) process.stderr.write(`${title}: ${seen}\n`);
    } catch (cause) {
      throw new Error(`the lab left no report: ${stdout}${stderr}`, { cause });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  for (const { id, title, wanted } of uplinkChecks)
    it(`${title}: ${wanted}`, () => {
      const result = results.find((check) => check.id === id);
      expect(result, "the check was not run").toBeDefined();
      expect(result?.ok, `seen: ${result?.seen}; wanted: ${wanted}`).toBe(true);
    });
});
