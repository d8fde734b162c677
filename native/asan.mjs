// Runs the native tests with the addon under AddressSanitizer, then looks for leaks: node native/asan.mjs
// A report of any process fails it; a leak counts when the addon is in its stack (Node itself frees little at exit).
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";

const native = fileURLToPath(new URL(".", import.meta.url));
const root = fileURLToPath(new URL("..", import.meta.url));
const addon = `${native}build/asan/Release/libbpf_ts.node`;
execFileSync("npx", ["cmake-js", "build", "--out", "build/asan", "--CDSANITIZE=ON", "-l", "warn"], {
  cwd: native,
  stdio: "inherit",
});
const runtime = execFileSync("gcc", ["-print-file-name=libasan.so"], { encoding: "utf8" }).trim();
const logs = mkdtempSync(`${tmpdir()}/libbpf-ts-asan-`);

function run(command, args, asanOptions) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: "inherit",
    env: {
      ...process.env,
      LD_PRELOAD: runtime,
      LIBBPF_TS_ADDON: addon,
      ASAN_OPTIONS: `log_path=${logs}/report:${asanOptions}`,
    },
  });
  return result.status;
}

const reports = () => readdirSync(logs).map((file) => readFileSync(`${logs}/${file}`, "utf8"));

const status = run(
  "npx",
  ["vitest", "run", "--project", "native", "--testTimeout", "300000"],
  "detect_leaks=0:quarantine_size_mb=1",
);
const errors = reports();
for (const report of errors) process.stderr.write(report);
console.log(`AddressSanitizer: tests ${status === 0 ? "passed" : "FAILED"}, ${errors.length} reports`);

for (const file of readdirSync(logs)) rmSync(`${logs}/${file}`);
const leaksStatus = run(process.execPath, [`${root}test/native/scripts/unclosed.mjs`], "detect_leaks=1:exitcode=0");
if (leaksStatus !== 0) throw new Error(`the search for leaks failed with status ${leaksStatus}`);
const leaks = reports()
  .flatMap((report) => report.split("\n\n"))
  .filter((block) => /^(Direct|Indirect) leak/.test(block) && block.includes("libbpf_ts.node"));
for (const leak of leaks) process.stderr.write(`${leak}\n\n`);
console.log(`LeakSanitizer: ${leaks.length} leaks through the addon`);

rmSync(logs, { recursive: true });
process.exitCode = status === 0 && errors.length === 0 && leaks.length === 0 ? 0 : 1;
