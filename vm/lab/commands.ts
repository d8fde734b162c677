/**
 * The command line as a process that waits for commands: lines of JSON on standard input, `{ id, args }`, each answered by one
 * line with the Output. To start Node.js and load xgw takes longer than most commands do. It is bundled: see build.mjs.
 */

import { createInterface } from "node:readline";
import { runCli } from "../../src/cli/cli.js";
import { commands } from "../../src/cli/commands/index.js";
import type { Output } from "./netns.js";

async function carryOut(args: readonly string[]): Promise<Output> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runCli(args, commands, {
    stdout: { write: (text) => out.push(text) },
    stderr: { write: (text) => err.push(text) },
    env: process.env,
    outputClosed: new AbortController().signal,
  });
  return { code, stdout: out.join(""), stderr: err.join("") };
}

/** One command after the other. */
let turn: Promise<unknown> = Promise.resolve();

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { id, args } = JSON.parse(line) as { id: number; args: string[] };
    turn = turn.then(async () => process.stdout.write(`${JSON.stringify({ id, ...(await carryOut(args)) })}\n`));
  })
  .on("close", () => process.exit(0));
process.stdout.write(`${JSON.stringify({ id: 0 })}\n`);
