// Killed at some points of a change, of an upgrade and a downgrade, and of a teardown; `npm run test:crash` tries them all.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import type { CrashReport } from "../../vm/crash.js";

const program = fileURLToPath(new URL("../../dist/vm/crash.js", import.meta.url));
/** A prime, so that other points are met than the first of each phase. */
const every = 97;

describe("xgw, killed in the middle", () => {
  let report: CrashReport;

  beforeAll(() => {
    const folder = mkdtempSync(join(tmpdir(), "xgw-e2e-"));
    const file = join(folder, "report.json");
    const { stdout, stderr } = spawnSync(process.execPath, [program, "--every", `${every}`, "--report", file], {
      encoding: "utf8",
    });
    try {
      report = JSON.parse(readFileSync(file, "utf8")) as CrashReport;
    } catch (cause) {
      throw new Error(`no report: ${stdout}${stderr}`, { cause });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("is ended by the next run, and the one after finds nothing to do", () => expect(report.faults).toEqual([]));

  it("was killed in each kind of change", () => {
    for (const kind of ["upgrade", "downgrade", "teardown"] as const)
      expect(report[kind].killed, kind).toBeGreaterThan(0);
  });

  it("loses nothing of a tenant that nobody touches", () => expect(report.stream.received).toBe(report.stream.sent));
});
