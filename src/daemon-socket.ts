/**
 * What the daemon says of itself to whoever asks: one JSON value over a Unix socket below /run/xgw, for root's ears only. Named
 * after the network namespace and the config file, because the instance's name may be what is wrong with the config. The file's
 * name is the one that it was given by: where links lead may change while the daemon runs.
 *
 * A lock beside the socket says whether it is a living daemon's. A dead one's is replaced.
 */

import { createHash } from "node:crypto";
import { chmodSync, readdirSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { basename, join, resolve } from "node:path";
import { FileLock, peerCredentials } from "libbpf-ts";
import { BusyError } from "./errors.js";
import type { Finding } from "./finding.js";
import type { Durations } from "./histogram.js";
import { daemonLock, holderOf, holderText, isHeld } from "./lock.js";
import {
  checkRuntimeDirectory,
  isTrusted,
  prepareRuntimeDirectory,
  runtimeDirectory,
  runtimeFile,
} from "./runtime-directory.js";

/** Times are in ISO 8601. */
export interface DaemonReport {
  readonly pid: number;
  /** Of the config in force. Missing as long as there is none. */
  readonly instance?: string;
  readonly startedAt: string;
  readonly config: {
    /** The absolute path of what it follows, as it was given. Missing of a daemon of an older version. */
    readonly file?: string;
    /** `bad`: the file was refused, or could not be carried out; what was in force stays in force. */
    readonly state: "good" | "bad";
    readonly since: string;
    /** When what is in force was applied. */
    readonly inForceSince: string;
    /** What is wrong, each with file, line and remedy as far as known. */
    readonly problems: readonly string[];
    /** What is in force is on trial: it was read from there, and is taken back then unless it is confirmed. */
    readonly trial?: { readonly token: string; readonly from: string; readonly until: string };
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
  /** How many things that are not xgw's stand in the way of what the config promises. */
  readonly inTheWay: number;
  /** What keeps the gateway from working, or may, as of the last look. */
  readonly findings: readonly Finding[];
  /** How long it took to put configs in force, and to put right what others had changed. */
  readonly durations: Readonly<Record<"reconcile" | "repair", Durations>>;
  /** How many link-layer addresses were forgotten because there were too many, by tenant as above. */
  readonly neighboursForgotten: Readonly<Record<string, number>>;
}

/** An answer that takes longer, or a question, is given up, milliseconds. */
const patienceMs = 2000;
/** More than this is no answer, bytes; a hundred problems of a config take some 30 kB. */
const maxAnswerBytes = 1024 * 1024;
/** Who ask at once. */
const maxAskers = 32;

/** Of the names of all sockets, after the network namespace. */
const prefix = "daemon-";

/** Without its ending. At most 48 bytes long, of 107 that a socket's path may have. */
function pathOf(configFile: string, directory: string): string {
  const name = createHash("sha256").update(resolve(configFile)).digest("hex").slice(0, 16);
  return runtimeFile(`${prefix}${name}`, directory);
}

export interface Answering {
  close(): void;
}

/** @throws BusyError when another daemon has this config already; ForeignError, PermissionError: see /run/xgw */
export async function answerAs(
  configFile: string,
  report: () => DaemonReport,
  directory = runtimeDirectory,
): Promise<Answering> {
  prepareRuntimeDirectory(directory);
  const path = pathOf(configFile, directory);
  const lock = FileLock.take(`${path}.lock`, holderText("run"));
  if (!lock)
    throw new BusyError(`the daemon for ${configFile} is running already, as ${holderOf(`${path}.lock`)}`, {
      remedy: "stop it, or leave it at that",
    });
  const server = createServer((socket) => {
    socket.on("error", () => {}); // whoever asked has gone
    giveUpAfter(socket);
    if (isPeerTrusted(socket)) socket.end(JSON.stringify(report()));
    else socket.destroy();
  });
  server.maxConnections = maxAskers;
  try {
    rmSync(`${path}.sock`, { force: true }); // a dead daemon's: ours is the lock
    await new Promise<void>((done, reject) => {
      server.once("error", reject);
      server.listen(`${path}.sock`, done);
    });
    chmodSync(`${path}.sock`, 0o600);
  } catch (error) {
    server.close();
    lock.release();
    throw error;
  }
  server.unref();
  return {
    close() {
      server.close(); // and the socket's file goes, before the next may make one
      lock.release();
    },
  };
}

/**
 * Undefined when no daemon has this config in this network namespace, it does not answer in time, this user may not ask, or who
 * answers is neither root nor this user.
 *
 * @throws ForeignError when anybody could be the one who answers
 */
export async function askDaemon(configFile: string, directory = runtimeDirectory): Promise<DaemonReport | undefined> {
  return canAsk(directory) ? ask(`${pathOf(configFile, directory)}.sock`) : undefined;
}

/**
 * The one that has the instance, by whatever file: a folder has as many names as links lead to it.
 *
 * @throws as `askDaemon` does
 */
export async function askDaemonOf(instance: string, directory = runtimeDirectory): Promise<DaemonReport | undefined> {
  if (!canAsk(directory)) return undefined;
  const path = runtimeFile(prefix, directory);
  const names = readdirSync(directory).filter((name) => name.startsWith(basename(path)) && name.endsWith(".sock"));
  const reports = await Promise.all(names.map((name) => ask(join(directory, name))));
  return reports.find((report) => report?.instance === instance);
}

/** A daemon that is there, with its answer; one that gives none in time; or none. */
export type DaemonState =
  | { readonly state: "answers"; readonly report: DaemonReport }
  | { readonly state: "busy"; readonly holder: string }
  | { readonly state: "none" };

/**
 * The one that has the config's file, or the instance by another one.
 *
 * @throws as `askDaemon` does
 */
export async function findDaemon(
  configFile: string,
  instance?: string,
  directory = runtimeDirectory,
): Promise<DaemonState> {
  if (!canAsk(directory)) return { state: "none" };
  const [ofFile, ofInstance] = await Promise.all([
    askDaemon(configFile, directory),
    instance === undefined ? undefined : askDaemonOf(instance, directory),
  ]);
  const report = ofFile ?? ofInstance;
  if (report) return { state: "answers", report };
  const locks = [
    `${pathOf(configFile, directory)}.lock`,
    ...(instance === undefined ? [] : [runtimeFile(daemonLock(instance), directory)]),
  ];
  const held = locks.find(isHeld);
  return held === undefined ? { state: "none" } : { state: "busy", holder: holderOf(held) };
}

function ask(path: string): Promise<DaemonReport | undefined> {
  return new Promise((done) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const socket = connect(path);
    giveUpAfter(socket);
    socket.on("connect", () => {
      if (!isPeerTrusted(socket)) socket.destroy();
    });
    socket.on("data", (data) => {
      bytes += data.length;
      if (bytes > maxAnswerBytes) socket.destroy();
      else chunks.push(data);
    });
    socket.on("error", () => {}); // there is none
    socket.on("close", () => done(bytes > maxAnswerBytes ? undefined : parse(Buffer.concat(chunks).toString())));
  });
}

function canAsk(directory: string): boolean {
  try {
    return checkRuntimeDirectory(directory);
  } catch (error) {
    if ((error as { readonly code?: string }).code === "XGW_PERMISSION") return false;
    throw error;
  }
}

function giveUpAfter(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), patienceMs);
  socket.on("close", () => clearTimeout(timer));
}

/** Node.js has no name for a socket's descriptor but this one. Where it cannot be told, nobody is trusted. */
function isPeerTrusted(socket: Socket): boolean {
  const { _handle: handle } = socket as { readonly _handle?: { readonly fd?: number } | null };
  if (handle?.fd === undefined || handle.fd < 0) return false;
  return isTrusted(peerCredentials(handle.fd).uid);
}

function parse(answer: string): DaemonReport | undefined {
  try {
    return JSON.parse(answer) as DaemonReport;
  } catch {
    return undefined;
  }
}
