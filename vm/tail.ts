/** Keeps the last bytes of a stream. */
export class Tail {
  #data = Buffer.alloc(0);

  constructor(readonly limit: number) {}

  add(data: Buffer): void {
    this.#data = Buffer.concat([this.#data, data]).subarray(-this.limit);
  }

  text(): string {
    return this.#data.toString();
  }
}
