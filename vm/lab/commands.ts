/**
 * The command line as a process that waits for commands, `{ id, args }`, and answers each with its Output. To start Node.js
 * and load xgw takes longer than most commands do. It is bundled: see build.mjs.
 */

import { fileURLToPath } from "node:url";
import { runCli } from "../../src/cli/cli.js";
import { commands } from "../../src/cli/commands/index.js";
import type { Output } from "./netns.js";
import { serveOrders } from "./orders.js";

/** Seen from dist/lab. */
const program = fileURLToPath(new URL("../xgw/lib/main.js", import.meta.url));

interface Order {
  readonly id: number;
  readonly args: readonly string[];
}

async function carryOut({ args }: Order): Promise<Output> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runCli(args, commands, {
    stdout: { write: (text) => out.push(text) },
    stderr: { write: (text) => err.push(text) },
    env: process.env,
    outputClosed: new AbortController().signal,
    program: [process.execPath, program],
  });
  return { code, stdout: out.join(""), stderr: err.join("") };
}

serveOrders(carryOut);
