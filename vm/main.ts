// SPDX-License-Identifier: MIT
import { runInVm } from "./run.js";

const args = process.argv.slice(2);
let kernel: string | undefined;
let timeoutMs = 600_000;
let shareDir: string | undefined;
let console_ = false;
let stats = false;
while (args[0]?.startsWith("-")) {
  const flag = args.shift();
  if (flag === "--") break;
  if (flag === "--kernel") kernel = args.shift();
  else if (flag === "--timeout") timeoutMs = Number(args.shift()) * 1000;
  else if (flag === "--share") shareDir = args.shift();
  else if (flag === "--console") console_ = true;
  else if (flag === "--stats") stats = true;
}
const env: Record<string, string> = {};
for (const name of ["HOME", "PATH", "TERM", "LANG", "USER"]) {
  const value = process.env[name];
  if (value !== undefined) env[name] = value;
}
const result = await runInVm({
  command: args,
  timeoutMs,
  env,
  ...(kernel ? { kernel } : {}),
  ...(shareDir ? { shareDir } : {}),
  onStdout: (data) => process.stdout.write(data),
  onStderr: (data) => process.stderr.write(data),
  ...(console_ ? { onConsole: (data: Buffer) => process.stderr.write(data) } : {}),
  log: (line) => process.stderr.write(`vm: ${line}\n`),
});
if (result.ended !== "exit") process.stderr.write(`vm: ${result.ended}\n${result.consoleTail}\n`);
if (stats) process.stderr.write(`vm: boot ${result.bootMs.toFixed()} ms, total ${result.totalMs.toFixed()} ms\n`);
process.exitCode = result.exitCode ?? 125;
