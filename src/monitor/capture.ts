/** Writes the packets of drops into a capture file, as they come. */

import { closeSync, openSync, writeSync } from "node:fs";
import { XgwError } from "../errors.js";
import { packetComment } from "./comment.js";
import type { Told } from "./monitor.js";
import { pcapngHeader, pcapngPacket } from "./pcapng.js";

export class Capture implements Disposable {
  readonly #file: number;
  packets = 0;

  /** @throws XgwError when it cannot be written */
  constructor(readonly path: string) {
    try {
      this.#file = openSync(path, "w", 0o600);
      writeSync(this.#file, pcapngHeader());
    } catch (error) {
      throw new XgwError(`${path} cannot be written: ${(error as Error).message}`, {
        cause: error,
        remedy: "name a file in a folder that is there",
      });
    }
  }

  add({ event, raw }: Told): void {
    if (event.kind !== "drop" || !raw?.packet) return;
    const { link, bytes, length } = raw.packet;
    const timeNs = BigInt(Date.now()) * 1_000_000n - (process.hrtime.bigint() - raw.timeNs);
    writeSync(this.#file, pcapngPacket({ timeNs, link, bytes, length, comment: packetComment(event) }));
    this.packets++;
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}
