/** A pcapng file that grows: every packet is in it as soon as it is added. */

import { closeSync, openSync, writeSync } from "node:fs";
import { XgwError } from "../errors.js";
import type { Captured } from "./event.js";
import { pcapngHeader, pcapngPacket } from "./pcapng.js";

export class PcapFile implements Disposable {
  readonly #fd: number;

  /** @throws XgwError when it cannot be written */
  constructor(path: string) {
    try {
      this.#fd = openSync(path, "w", 0o600);
    } catch (error) {
      throw new XgwError(`${path} cannot be written: ${(error as Error).message}`, {
        cause: error,
        remedy: "name another file",
      });
    }
    writeSync(this.#fd, pcapngHeader());
  }

  /** @param timeNs since 1970 */
  add(packet: Captured, timeNs: bigint, comment: string): void {
    writeSync(this.#fd, pcapngPacket(packet, timeNs, comment));
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
