/** Hands a stream's text on with a prefix before each line, in whole lines. The last one comes with `end()`. */
export class PrefixLines {
  #rest = "";

  constructor(
    readonly prefix: string,
    private readonly write: (text: string) => void,
  ) {}

  add(data: Buffer | string): void {
    const lines = (this.#rest + data.toString()).split("\n");
    this.#rest = lines.pop() ?? "";
    if (lines.length > 0) this.write(lines.map((line) => `${this.prefix}${line}\n`).join(""));
  }

  end(): void {
    if (this.#rest !== "") this.add("\n");
  }
}
