/**
 * What the daemon says of itself to whoever asks: one JSON value over an abstract Unix socket, which belongs to the network
 * namespace and goes with the process. Named after the config file, because the instance's name may be what is wrong with it.
 */

import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import { connect, createServer } from "node:net";
import { resolve } from "node:path";
import { BusyError } from "./errors.js";

/** Times are in ISO 8601. */
export interface DaemonReport {
  readonly pid: number;
  readonly startedAt: string;
  readonly config: {
    /** `bad`: the file was refused, or could not be carried out; what was in force stays in force. */
    readonly state: "good" | "bad";
    readonly since: string;
    /** When what is in force was applied. */
    readonly inForceSince: string;
    /** What is wrong, each with file, line and remedy as far as known. */
    readonly problems: readonly string[];
  };
  /** How often something was found changed, and put right. */
  readonly drifts: number;
  /** Steps that this took, by the kind of thing: `route`, `device`, `element`, and so on. */
  readonly repairs: Readonly<Record<string, number>>;
  /** How often it did not succeed, and was tried again. */
  readonly repairFailures: number;
  /** How often flows were decided anew because their way had changed. */
  readonly redecisions: number;
  /** How often work had to wait, because who caused it had had its share of the daemon's time. */
  readonly putOff: {
    /** By the tenant's name; without one it was the underlay, or a tenant that has gone. */
    readonly redecisions: Readonly<Record<string, number>>;
    readonly checks: number;
  };
  /** How often more happened than the kernel could tell. */
  readonly notificationsLost: number;
  /** How many link-layer addresses were forgotten because there were too many, by tenant as above. */
  readonly neighboursForgotten: Readonly<Record<string, number>>;
}

function socketName(configFile: string): string {
  let file = resolve(configFile);
  try {
    file = realpathSync(file);
  } catch {
    // gone: it is known by the name it had
  }
  return `\0xgw/daemon/${createHash("sha256").update(file).digest("hex").slice(0, 16)}`;
}

export interface Answering {
  close(): void;
}

/** @throws BusyError when another daemon has this config already */
export async function answerAs(configFile: string, report: () => DaemonReport): Promise<Answering> {
  const server = createServer((socket) => {
    socket.on("error", () => {}); // whoever asked has gone
    socket.end(JSON.stringify(report()));
  });
  await new Promise<void>((done, reject) => {
    server.once("error", reject);
    server.listen(socketName(configFile), done);
  }).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== "EADDRINUSE") throw error;
    const other = await askDaemon(configFile);
    throw new BusyError(`the daemon for ${configFile} is running already, as process ${other?.pid ?? "unknown"}`, {
      remedy: "stop it, or leave it at that",
    });
  });
  server.unref();
  return { close: () => void server.close() };
}

const patienceMs = 2000;

/** Undefined when no daemon has this config in this network namespace, or it does not answer. */
export function askDaemon(configFile: string): Promise<DaemonReport | undefined> {
  return new Promise((done) => {
    let answer = "";
    const socket = connect(socketName(configFile));
    socket.setTimeout(patienceMs, () => socket.destroy());
    socket.on("data", (data) => {
      answer += data.toString();
    });
    socket.on("error", () => {}); // there is none
    socket.on("close", () => done(parse(answer)));
  });
}

function parse(answer: string): DaemonReport | undefined {
  try {
    return JSON.parse(answer) as DaemonReport;
  } catch {
    return undefined;
  }
}
