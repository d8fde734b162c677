#!/usr/bin/env node
/** The `xgw` command: gives this process to the command line. */

import { runCli } from "./cli.js";
import { commands } from "./commands/index.js";

const outputClosed = new AbortController();
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // `xgw status | head` is no failure; work that was begun is finished all the same.
    if (error.code !== "EPIPE") throw error;
    if (stream === process.stdout) outputClosed.abort();
  });
}

const argv = process.argv.slice(2);
process.exitCode = await runCli(argv, commands, {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  outputClosed: outputClosed.signal,
  elsewhere: async ({ command }) => {
    if (command.isForViewers !== true || process.geteuid?.() === 0) return undefined;
    const { askAsViewer } = await import("./viewer/ask.js");
    return askAsViewer(argv);
  },
});
