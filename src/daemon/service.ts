/** The daemon as a process of its own, started by a service manager or by hand: signals and readiness. */

import { setFlagsFromString } from "node:v8";
import type { Logger } from "../log.js";
import { askedFor, configFile } from "./config-source.js";
import { runDaemon } from "./daemon.js";
import { serviceManager } from "./service-manager.js";
import { startTelling } from "./telling.js";

/** Runs until SIGTERM or SIGINT; SIGHUP has the config read again. */
export async function runService(file: string, log: Logger): Promise<void> {
  // What has not run for some garbage collections would have to be compiled again: the first edit after a quiet night.
  setFlagsFromString("--no-flush-bytecode");
  const stop = new AbortController();
  const onStop = () => stop.abort();
  const signals = ["SIGTERM", "SIGINT"] as const;
  for (const signal of signals) process.once(signal, onStop);
  const manager = serviceManager(process.env, log);
  const source = configFile(file);
  const telling = await startTelling(file, log);
  try {
    await runDaemon(
      {
        load: source.load,
        watch(changed) {
          const onHangup = () => changed(askedFor);
          process.on("SIGHUP", onHangup);
          const watcher = source.watch(changed);
          return {
            close() {
              process.off("SIGHUP", onHangup);
              watcher.close();
            },
          };
        },
      },
      { log, stop: stop.signal, tell: manager.tell, emit: telling.emit, onInForce: telling.onInForce },
    );
  } finally {
    telling.stop();
    manager.stop();
    for (const signal of signals) process.off(signal, onStop);
  }
}
