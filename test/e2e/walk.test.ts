// A few random edits with failures in the way; `npm run test:walk` makes 500.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import type { WalkReport } from "../../vm/walk.js";

const program = fileURLToPath(new URL("../../dist/vm/walk.js", import.meta.url));

it("after each of 8 random edits the kernel is what the config says, and after a failure what it was", () => {
  const folder = mkdtempSync(join(tmpdir(), "xgw-e2e-"));
  const file = join(folder, "report.json");
  const args = [program, "--seed", "5", "--edits", "8", "--report", file];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  try {
    const report = JSON.parse(readFileSync(file, "utf8")) as WalkReport;
    expect(report.faults, stdout).toEqual([]);
    expect(Object.keys(report.failures).length, "nothing was in the way").toBeGreaterThan(0);
  } catch (cause) {
    throw new Error(`${stdout}${stderr}`, { cause });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
