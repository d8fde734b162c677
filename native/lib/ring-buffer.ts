/** A ring buffer's records as an async iterator. */
import { addon } from "./addon.js";
import { BpfError, check, closedError, invalid } from "./error.js";
import { drainLog } from "./log.js";
import type { BpfMap } from "./map.js";

export interface RingBufferOptions {
  /** Records taken out of the ring at once; 256 if not given. What is not taken stays in the ring. */
  batchSize?: number;
}

/**
 * Reads a ring buffer map, one reader a map.
 *
 * A thread sleeps in epoll until the ring has data, and only while somebody awaits it. A consumer that is slow leaves the
 * records in the ring; when that is full, the BPF program's reservations fail: that is the back-pressure.
 *
 * ```ts
 * using ring = new RingBuffer(map);
 * for await (const record of ring) console.log(record);
 * ```
 */
export class RingBuffer implements AsyncIterableIterator<Buffer, undefined>, Disposable {
  readonly #name: string;
  readonly #batchSize: number;
  #handle: number;
  #records: Buffer[] = [];
  #next = 0;
  #wake: (() => void) | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  /** @throws BpfError EINVAL when the map is no ring buffer. The map may be closed while the reader lives on. */
  constructor(map: BpfMap, options: RingBufferOptions = {}) {
    this.#name = `map ${map.name}`;
    this.#batchSize = options.batchSize ?? 256;
    if (map.type !== "ringbuf") throw invalid("read ring buffer", this.#name, `it is a ${map.type}`);
    const handle = addon.ringOpen(map.fd, () => this.#woken());
    this.#handle = check(handle, "read ring buffer", this.#name, drainLog());
  }

  get closed(): boolean {
    return this.#handle === 0;
  }

  /** The records that are there now, at most `limit`; does not wait. */
  take(limit = this.#batchSize): Buffer[] {
    if (this.#handle === 0) throw closedError("read", `ring buffer of ${this.#name}`);
    const records = this.#records.slice(this.#next, this.#next + limit);
    this.#next += records.length;
    if (records.length < limit) records.push(...this.#consume(limit - records.length));
    return records;
  }

  /** The next record; waits for it. Done once the reader is closed. */
  next(): Promise<IteratorResult<Buffer, undefined>> {
    // Calls take turns, so that several may be under way and each gets a record of its own.
    const result = this.#turn.then(() => this.#nextRecord());
    this.#turn = result.catch(() => undefined);
    return result;
  }

  return(): Promise<IteratorResult<Buffer, undefined>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Ends the reader: who waits gets "done". Does nothing the second time. */
  close(): void {
    if (this.#handle === 0) return;
    addon.readerClose(this.#handle);
    this.#handle = 0;
    this.#records = [];
    this.#next = 0;
    this.#woken();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  async #nextRecord(): Promise<IteratorResult<Buffer, undefined>> {
    while (this.#handle !== 0) {
      const record = this.#records[this.#next];
      if (record !== undefined) {
        this.#next++;
        return { done: false, value: record };
      }
      this.#records = this.#consume(this.#batchSize);
      this.#next = 0;
      if (this.#records.length === 0) await this.#data();
    }
    return { done: true, value: undefined };
  }

  #consume(limit: number): Buffer[] {
    const records = addon.ringConsume(this.#handle, limit);
    if (typeof records === "number") {
      throw new BpfError({ operation: "read ring buffer", objectName: this.#name, errno: records });
    }
    return records;
  }

  /** Resolves when the ring has data, or the reader was closed. */
  #data(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      check(addon.readerArm(this.#handle), "wait for ring buffer", this.#name);
    });
  }

  #woken(): void {
    if (this.#handle !== 0) addon.readerRest(this.#handle);
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
