/**
 * A change that is on trial: in force, and taken back unless somebody confirms it in time. It is one file below /run/xgw, for root
 * alone; its end is the end of the trial, and so is that of the machine, for nothing on disk is changed before it is confirmed.
 * It is named after the config file, as the daemon's socket is.
 */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { replaceFile } from "./atomic-file.js";
import type { Config } from "./config/schema.js";
import { checkRuntimeDirectory, prepareRuntimeDirectory, runtimeDirectory, runtimeFile } from "./runtime-directory.js";

interface TrialBase {
  /** Of this trial, and no other. */
  readonly token: string;
  readonly instance: string;
  /** The absolute path of the config file that it is about. */
  readonly file: string;
  /** When it is taken back, seconds since boot. */
  readonly deadline: number;
  /** Why it could not be taken back so far. */
  readonly failure?: string;
}

/** The daemon runs another text in place of its file, which stays as it is. */
export interface FileTrial extends TrialBase {
  readonly kind: "file";
  readonly text: string;
  /** Where the text was read, for messages. */
  readonly from: string;
  /** What the daemon's file was, as `textDigest`: who confirms does not overwrite another's edit. */
  readonly was: string;
}

/** No daemon: the config to go back to; null when nothing was in force. */
export interface KernelTrial extends TrialBase {
  readonly kind: "kernel";
  readonly before: Config | null;
}

export type Trial = FileTrial | KernelTrial;

const prefix = "trial-";

/** A path in /run/xgw. */
export function trialPath(file: string, directory = runtimeDirectory): string {
  const name = createHash("sha256").update(resolve(file)).digest("hex").slice(0, 16);
  return runtimeFile(`${prefix}${name}`, directory);
}

/** Undefined when there is none. @throws ForeignError, PermissionError: see /run/xgw */
export function readTrial(file: string, directory = runtimeDirectory): Trial | undefined {
  return checkRuntimeDirectory(directory) ? readFrom(trialPath(file, directory)) : undefined;
}

/** The one of an instance, by whatever file. @throws as `readTrial` does */
export function trialOf(instance: string, directory = runtimeDirectory): Trial | undefined {
  if (!checkRuntimeDirectory(directory)) return undefined;
  const begin = basename(runtimeFile(prefix, directory));
  return readdirSync(directory)
    .filter((name) => name.startsWith(begin))
    .map((name) => readFrom(join(directory, name)))
    .find((trial) => trial?.instance === instance);
}

function readFrom(path: string): Trial | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Trial;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Begins it, or takes the place of the one that there is. */
export function writeTrial(trial: Trial, directory = runtimeDirectory): void {
  prepareRuntimeDirectory(directory);
  replaceFile(trialPath(trial.file, directory), JSON.stringify(trial), { mode: 0o600 });
}

/** Ends it, unless another has taken its place. */
export function endTrial({ file, token }: Pick<Trial, "file" | "token">, directory = runtimeDirectory): void {
  const path = trialPath(file, directory);
  if (readFrom(path)?.token === token) rmSync(path, { force: true });
}

/** Seconds since boot, also while the machine slept; no clock that somebody sets. */
export const uptime = (): number => Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);

/** Seconds that are left; not more than 0 when it is to be taken back. */
export const secondsLeft = ({ deadline }: Pick<Trial, "deadline">): number => deadline - uptime();

export const textDigest = (text: string): string => createHash("sha256").update(text).digest("hex");
