/**
 * One daemon at a time per instance and network namespace, by whatever config file it knows the instance. What it has claimed
 * is its own until it ends, also when the config has another name by then: it may have to go back.
 */

import { FileLock } from "libbpf-ts";
import { BusyError } from "../errors.js";
import { daemonLock, holderOf, holderText } from "../lock.js";
import { prepareRuntimeDirectory, runtimeDirectory, runtimeFile } from "../runtime-directory.js";

export class InstanceClaim {
  private readonly locks = new Map<string, FileLock>();

  constructor(private readonly directory = runtimeDirectory) {}

  /** @throws BusyError when another daemon has the instance; ForeignError, PermissionError: see /run/xgw */
  claim(instance: string): void {
    if (this.locks.has(instance)) return;
    prepareRuntimeDirectory(this.directory);
    const path = runtimeFile(daemonLock(instance), this.directory);
    const lock = FileLock.take(path, holderText("run"));
    if (!lock)
      throw new BusyError(`a daemon for instance ${instance} is running already, as ${holderOf(path)}`, {
        remedy: "stop it, or give this config another `instance`",
      });
    this.locks.set(instance, lock);
  }

  release(): void {
    for (const lock of this.locks.values()) lock.release();
    this.locks.clear();
  }
}
