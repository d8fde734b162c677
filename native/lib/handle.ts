/** Descriptors with an owner: closed once, and refused after that. */
import { readlinkSync, unlinkSync } from "node:fs";
import { addon } from "./addon.js";
import { EINVAL } from "./errno.js";
import { BpfError, check, closedError } from "./error.js";

/** What maps, programs and links have in common. */
export abstract class FdHandle implements Disposable {
  #fd: number;
  #pinPath: string | undefined;

  /** @internal */
  protected constructor(fd: number, pinPath?: string) {
    this.#fd = fd;
    this.#pinPath = pinPath;
  }

  /** "map flows", "link 12": for messages. */
  protected abstract get label(): string;

  /** The file descriptor, for calls that this library does not have. It stays the handle's: do not close it. */
  get fd(): number {
    if (this.#fd < 0) throw closedError("use", this.label);
    return this.#fd;
  }

  get closed(): boolean {
    return this.#fd < 0;
  }

  /** Gives up this handle. Does nothing the second time. The kernel's object lives on while others hold it. */
  close(): void {
    const fd = this.#fd;
    if (fd < 0) return;
    this.#fd = -1;
    addon.closeFd(fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Where this handle was pinned to or opened from, if it was. */
  get pinPath(): string | undefined {
    return this.#pinPath;
  }

  /**
   * Pins the object to a path in a bpffs, so that it outlives the process.
   * @throws BpfError EEXIST when something is there; ENOENT when the directory is missing; EPERM outside of a bpffs.
   */
  pin(path: string): void {
    check(addon.pin(this.fd, path), `pin ${this.label} to`, path);
    this.#pinPath = path;
  }

  /**
   * Removes the pin. The object stays while this handle, or anything else, holds it.
   * @param path the pin to remove; without it the one of {@link pinPath}.
   */
  unpin(path?: string): void {
    const target = path ?? this.#pinPath;
    if (target === undefined) {
      throw new BpfError({ operation: "unpin", objectName: this.label, errno: EINVAL, reason: "it is not pinned" });
    }
    removePin(target);
    if (target === this.#pinPath) this.#pinPath = undefined;
  }

  /** @internal A descriptor of its own for a second handle. */
  protected duplicateFd(): number {
    return check(addon.duplicate(this.fd), "duplicate", this.label);
  }
}

export type HandleKind = "map" | "program" | "link";

/** @internal What a descriptor is of, by the name that the kernel gives it in /proc; undefined for anything else. */
export function kindOf(fd: number): HandleKind | undefined {
  const name = /^anon_inode:\[?bpf[-_](map|prog|link)/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
  return name === "prog" ? "program" : (name as "map" | "link" | undefined);
}

/**
 * @internal A descriptor for a pin that is of the kind wanted.
 * @throws BpfError ENOENT when there is no such pin; EINVAL when it is of another kind.
 */
export function openPin(kind: HandleKind, path: string, fileFlags = 0): number {
  const operation = `open pinned ${kind}`;
  const fd = check(addon.openPin(path, fileFlags), operation, path);
  if (kindOf(fd) === kind) return fd;
  addon.closeFd(fd);
  throw new BpfError({ operation, objectName: path, errno: EINVAL, reason: `the pin is not a ${kind}` });
}

/** Removes a pin by its path alone. */
export function removePin(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).errno;
    throw new BpfError({ operation: "unpin", objectName: path, errno: errno ?? EINVAL });
  }
}
