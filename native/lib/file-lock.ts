/** A lock that goes with its process, whatever that dies of. */
import { unlinkSync } from "node:fs";
import { addon } from "./addon.js";
import { EAGAIN } from "./errno.js";
import { check } from "./error.js";

/**
 * An exclusive lock on a file (flock(2)), which the kernel frees with the process. It belongs to the handle: two handles of one
 * process exclude each other as well. All that take it must see the same file, and have a right to write into its folder.
 */
export class FileLock implements Disposable {
  readonly #path: string;
  #fd: number;

  private constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
  }

  /**
   * Takes the lock, or undefined when another has it. Does not wait.
   *
   * @param path the file, made with mode 0600 if it is not there; not a symbolic link
   * @param text what the file shall hold while it is locked, such as who has it
   * @throws BpfError ENOENT, EACCES, ELOOP (a symbolic link), ...
   */
  static take(path: string, text = ""): FileLock | undefined {
    const fd = addon.lockFile(path, text);
    return fd === -EAGAIN ? undefined : new FileLock(path, check(fd, "lock", path));
  }

  /** Gives the lock up, and removes the file. Does nothing the second time. */
  release(): void {
    const fd = this.#fd;
    if (fd < 0) return;
    this.#fd = -1;
    try {
      // Under the lock: who waits for this file finds that it is gone, and makes another.
      unlinkSync(this.#path);
    } catch {
      // somebody has removed it, or the folder: the lock is free all the same
    }
    addon.closeFd(fd);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
