// npm run vm: one command, or a shell, on another kernel.
import "./path.js";
import { parseVmArgs, type VmArgs, vmUsage } from "./args.js";
import { reportEnding } from "./ending.js";
import { runInVm } from "./run.js";
import { UsageError } from "./usage.js";

async function main(args: VmArgs): Promise<number> {
  if (args.help) {
    process.stdout.write(vmUsage);
    return 0;
  }
  const interactive = args.command.length === 0;
  if (interactive && !process.stdin.isTTY) throw new UsageError("a shell needs a terminal; else name a command");
  const abort = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => abort.abort());
  const result = await runInVm({
    ...args,
    command: interactive ? ["bash"] : args.command,
    interactive,
    signal: abort.signal,
    onConsole: args.console ? (data) => process.stderr.write(data) : undefined,
  });
  if (args.stats) {
    const [boot, total] = [result.bootMs, result.totalMs].map((ms) => `${(ms / 1000).toFixed(1)} s`);
    process.stderr.write(`vm: Linux ${result.release}, boot ${boot}, in all ${total}\n`);
  }
  return reportEnding(result, args.timeoutMs, (line) => process.stderr.write(`vm: ${line}\n`));
}

try {
  process.exitCode = await main(parseVmArgs(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`vm: ${error instanceof Error ? error.message : String(error)}\n`);
  if (error instanceof UsageError) process.stderr.write(`\n${vmUsage}`);
  process.exitCode = error instanceof UsageError ? 2 : 125;
}
