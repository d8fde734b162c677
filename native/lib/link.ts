/** A BPF link: the attachment of a program as an object. It ends with its last handle or pin. */
import { addon } from "./addon.js";
import type { LinkType } from "./enums.js";
import { BpfError, check } from "./error.js";
import { FdHandle, openPin } from "./handle.js";
import { fdById } from "./ids.js";
import { type LinkInfo, readLinkInfo } from "./info.js";
import type { BpfProgram } from "./program.js";

const F_REPLACE = 1 << 2;

/** A BPF link: the attachment of a program as an object. It ends with its last handle and pin. */
export class BpfLink extends FdHandle {
  readonly #id: number;
  readonly #type: LinkType;

  private constructor(fd: number, label: string, pinPath?: string) {
    super(fd, pinPath);
    this.#id = 0;
    try {
      const info = readLinkInfo(fd, label);
      this.#id = info.id;
      this.#type = info.type;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** @throws BpfError ENOENT when there is no such pin; EINVAL when the pin is not a link. */
  static openPinned(path: string): BpfLink {
    return new BpfLink(openPin("link", path), path, path);
  }

  static openById(id: number): BpfLink {
    return new BpfLink(fdById("link", id), `link ${id}`);
  }

  /** @internal Takes over a descriptor. */
  static fromFd(fd: number, label: string): BpfLink {
    return new BpfLink(fd, label);
  }

  protected override get label(): string {
    return `link ${this.#id}`;
  }

  get id(): number {
    return this.#id;
  }

  get type(): LinkType {
    return this.#type;
  }

  /** What the kernel says of the link, read anew. */
  get info(): LinkInfo {
    return readLinkInfo(this.fd, this.label);
  }

  /**
   * Puts another program in the place of the present one, atomically: no packet sees neither.
   * @param options.expected the program that must be there now; EPERM if it is another.
   */
  update(program: BpfProgram, options: { expected?: BpfProgram } = {}): void {
    const { expected } = options;
    const rc = addon.linkUpdate(this.fd, program.fd, expected === undefined ? 0 : F_REPLACE, expected?.fd ?? 0);
    if (rc < 0) throw new BpfError({ operation: "update", objectName: this.label, errno: rc });
  }

  /** Takes the program off its hook, although handles and pins of the link remain. */
  detach(): void {
    check(addon.linkDetach(this.fd), "detach", this.label);
  }
}
