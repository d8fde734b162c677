/**
 * One xgw at a time per instance and network namespace. The lock is an abstract Unix socket: the kernel frees it with the
 * process, whatever it died of. Whoever cannot have it is told who has.
 */

import { connect, createServer, type Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { BusyError } from "./errors.js";

export interface LockOptions {
  readonly instance: string;
  /** What the holder does, such as `apply`. */
  readonly purpose: string;
  /** How long to wait for another holder, milliseconds. */
  readonly waitMs: number;
}

const retryMs = 50;

/** @throws BusyError naming the holder, when it does not let go in time */
export async function withLock<T>(options: LockOptions, work: () => Promise<T>): Promise<T> {
  const name = `\0xgw/${options.instance}`;
  const deadline = performance.now() + options.waitMs;
  let server = await tryBind(name, options.purpose);
  while (!server) {
    if (performance.now() > deadline) {
      const holder = await askHolder(name);
      throw new BusyError(`xgw instance ${options.instance} is being changed by ${holder}`, {
        remedy: "wait until it is done, or stop it",
      });
    }
    await sleep(retryMs);
    server = await tryBind(name, options.purpose);
  }
  try {
    return await work();
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

function tryBind(name: string, purpose: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on("error", () => {}); // whoever asked has gone
      socket.end(`process ${process.pid} (xgw ${purpose})`);
    });
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    server.listen(name, () => resolve(server));
  });
}

function askHolder(name: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect(name);
    socket.setTimeout(1000, () => socket.destroy());
    socket.on("data", (data) => {
      answer += data.toString();
    });
    socket.on("error", () => {}); // it let go meanwhile
    socket.on("close", () => resolve(answer || "another process"));
  });
}
