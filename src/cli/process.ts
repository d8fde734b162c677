/** Gives this process to a command line. */

import { runCli } from "./cli.js";
import type { Command } from "./command.js";
import { readKeyOf } from "./key.js";

export async function runProcess(commands: readonly Command[]): Promise<void> {
  const outputClosed = new AbortController();
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      // `xgw status | head` is no failure; work that was begun is finished all the same. EIO: the terminal has gone.
      if (error.code !== "EPIPE" && error.code !== "EIO") throw error;
      if (stream === process.stdout) outputClosed.abort();
    });
  }
  process.exitCode = await runCli(process.argv.slice(2), commands, {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    outputClosed: outputClosed.signal,
    program: [process.execPath, process.argv[1] as string],
    uid: process.geteuid?.(),
    ...(process.stdin.isTTY && process.stdout.isTTY ? { readKey: readKeyOf(process.stdin) } : {}),
  });
}
