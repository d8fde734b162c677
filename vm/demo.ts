// npm run demo: the main job on real traffic. Builds the lab, runs the checks, prints a table and a picture.
import "./path.js";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { release, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { missingForGateway } from "./capable.js";
import { type DemoArgs, demoUsage, parseDemoArgs } from "./demo-args.js";
import { reportEnding } from "./ending.js";
import { type CheckResult, runCheck } from "./lab/check.js";
import { demoChecks } from "./lab/checks.js";
import { runInGateway, startTraffic, welcome } from "./lab/keep.js";
import { seedLab, withLab } from "./lab/lab.js";
import { checkLine, picture, summary } from "./lab/report.js";
import { runInVm } from "./run.js";
import { UsageError } from "./usage.js";

export interface DemoReport {
  readonly kernel: string;
  readonly emulated: boolean;
  readonly passed: number;
  readonly failed: number;
  readonly checks: readonly CheckResult[];
}

const timeoutMs = 15 * 60_000;
const bulkBytes = 50 * 2 ** 20;
const say = (line: string) => void process.stdout.write(`${line}\n`);

/** On this kernel. */
async function runLab({ tunnel, only }: DemoArgs): Promise<DemoReport> {
  const unknown = only?.find((id) => !demoChecks.some((check) => check.id === id));
  if (unknown !== undefined) throw new UsageError(`no check ${unknown}: ${demoChecks.map(({ id }) => id).join(", ")}`);
  const results = await withLab(
    await seedLab(tunnel, bulkBytes),
    (line) => say(`demo: ${line}`),
    async (lab) => {
      const results: CheckResult[] = [];
      for (const check of demoChecks.filter(({ id }) => only?.includes(id) ?? true)) {
        const result = await runCheck(check, lab);
        say(checkLine(result));
        results.push(result);
      }
      return results;
    },
  );
  const passed = results.filter(({ ok }) => ok).length;
  const emulated = process.env.XGW_IN_VM !== undefined;
  return { kernel: release(), emulated, passed, failed: results.length - passed, checks: results };
}

/** On this kernel: the lab with traffic, and who called in its gateway. */
async function keepLab({ tunnel, command }: DemoArgs): Promise<number> {
  const here = (line: string) => say(`demo: ${line}`);
  return withLab(await seedLab(tunnel, bulkBytes), here, async (lab) => {
    const stopTraffic = await startTraffic(lab);
    if (command.length === 0) for (const line of welcome) say(line);
    const code = await runInGateway(lab, command.length > 0 ? command : ["bash", "--norc"]);
    await stopTraffic();
    here("taking the lab down");
    return code;
  });
}

/** The same program, in the VM, on this terminal if there is no command. */
async function keepLabInVm({ kernel, tunnel, command }: DemoArgs): Promise<number> {
  const interactive = command.length === 0;
  const program = [process.execPath, fileURLToPath(import.meta.url), "--keep", "--tunnel", tunnel];
  const log = (line: string) => say(`demo: ${line}`);
  const result = await runInVm({ command: [...program, "--", ...command], kernel, interactive, log });
  return reportEnding(result, undefined, log);
}

/** The same program, in the VM; the report comes back by a folder that both see. */
async function runLabInVm({ kernel, tunnel, only }: DemoArgs): Promise<DemoReport> {
  const shareDir = await mkdtemp(join(tmpdir(), "xgw-demo-"));
  try {
    const report = join(shareDir, "report.json");
    const command = [process.execPath, fileURLToPath(import.meta.url), "--quiet", "--report", report];
    command.push("--tunnel", tunnel, ...(only ? ["--only", only.join(",")] : []));
    const result = await runInVm({ command, kernel, shareDir, timeoutMs, log: (line) => say(`demo: ${line}`) });
    const text = await readFile(report, "utf8").catch(() => undefined);
    if (text === undefined) {
      const status = reportEnding(result, timeoutMs, (line) => say(`demo: ${line}`));
      throw new Error(`the lab in the VM ended with status ${status} and left no report`);
    }
    return JSON.parse(text) as DemoReport;
  } finally {
    await rm(shareDir, { recursive: true, force: true });
  }
}

async function main(argv: readonly string[]): Promise<number> {
  const args = parseDemoArgs(argv);
  if (args.help) {
    process.stdout.write(demoUsage);
    return 0;
  }
  const missing = args.kernel === undefined ? await missingForGateway() : [];
  const here = args.kernel === undefined && missing.length === 0;
  if (!here) say(`demo: ${missing.length > 0 ? `this kernel lacks ${missing.join(", ")}: ` : ""}using a VM`);
  if (args.keep) {
    if (args.command.length === 0 && !process.stdin.isTTY)
      throw new UsageError("a shell needs a terminal; else name a command");
    return here ? keepLab(args) : keepLabInVm(args);
  }
  const report = here ? await runLab(args) : await runLabInVm(args);
  if (args.report !== undefined) await writeFile(resolve(args.report), `${JSON.stringify(report, null, 2)}\n`);
  if (!args.quiet) for (const line of [...picture(report.checks), ...summary(report)]) say(line);
  return report.failed === 0 ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
  if (error instanceof UsageError) process.stderr.write(`\n${demoUsage}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
