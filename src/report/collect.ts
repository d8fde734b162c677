/** Runs the commands of a report one after another, within time and size. That one fails is noted, and no failure. */

import { readFile } from "node:fs/promises";
import { release } from "node:os";
import { type Captured, capture } from "../kernel/spawn.js";
import { kernelConfigs, type Part } from "./parts.js";

/** As the manifest has it. */
export interface Collected {
  readonly file: string;
  /** Whose output it is; of a config file its path, of metrics their address. */
  readonly command: string;
  /** Missing when there was no command, or it did not come to its end. */
  readonly exitCode?: number;
  readonly seconds: number;
  /** Of the file in the archive. */
  readonly bytes: number;
  /** What came after this many bytes or seconds is missing. */
  readonly truncated?: "size" | "time";
  /** Why there is nothing in it, or what else the command said, its beginning. */
  readonly said?: string;
}

export interface CollectedFile extends Collected {
  readonly text: string;
}

export interface Bounds {
  /** Of one command, milliseconds. */
  readonly commandMs: number;
  /** Of all together, milliseconds: what is left then is not begun. */
  readonly allMs: number;
  /** Of one file, bytes. */
  readonly fileBytes: number;
  /** Of all files together, bytes. */
  readonly allBytes: number;
}

export const bounds: Bounds = {
  commandMs: 20_000,
  allMs: 180_000,
  fileBytes: 4 * 1024 * 1024,
  allBytes: 64 * 1024 * 1024,
};

export class Collector {
  readonly files: CollectedFile[] = [];
  readonly #endMs: number;
  #room: number;

  /** @param self how this xgw is started with the config in question, for the commands that are `xgw` */
  constructor(
    private readonly self: readonly string[],
    private readonly limits: Bounds = bounds,
  ) {
    this.#endMs = performance.now() + limits.allMs;
    this.#room = limits.allBytes;
  }

  async run({ file, command }: Part): Promise<void> {
    const begin = performance.now();
    const shown = command.join(" ");
    const timeoutMs = Math.min(this.limits.commandMs, this.#endMs - begin);
    const maxBytes = Math.min(this.limits.fileBytes, this.#room);
    if (timeoutMs <= 0 || maxBytes <= 0)
      return this.#add({ file, command: shown, text: "", seconds: 0, said: "not begun: the report has had its share" });
    const [program = "", ...args] = command[0] === "xgw" ? [...this.self, ...command.slice(1)] : command;
    const captured = await capture(program, args, { timeoutMs, maxBytes });
    this.#add({ file, command: shown, ...toFile(captured, program), seconds: (performance.now() - begin) / 1000 });
  }

  /** The first of the commands that finds something. */
  async kernelConfig(): Promise<void> {
    for (const command of kernelConfigs(release())) {
      await this.run({ file: "machine/kernel-config.txt", command });
      if (this.files.at(-1)?.bytes !== 0) return;
      this.files.pop();
    }
    const said = "neither /proc/config.gz nor a file of this kernel in /boot";
    this.#add({ file: "machine/kernel-config.txt", command: "zgrep, grep", text: "", seconds: 0, said });
  }

  async readFile(file: string, path: string): Promise<void> {
    try {
      const text = await readFile(path, "utf8");
      this.#addWithin(file, path, text);
    } catch (error) {
      this.#add({ file, command: path, text: "", seconds: 0, said: (error as Error).message });
    }
  }

  /** @param listen address and port, of `metrics.listen`; undefined when the config has none */
  async metrics(listen: string | undefined): Promise<void> {
    const file = "xgw/metrics.txt";
    const command = listen === undefined ? "metrics.listen" : `http://${listen}/metrics`;
    if (listen === undefined)
      return this.#add({ file, command, text: "", seconds: 0, said: "the config names no address for metrics" });
    try {
      const answer = await fetch(command, { signal: AbortSignal.timeout(this.limits.commandMs) });
      this.#addWithin(file, command, await answer.text());
    } catch (error) {
      const { message, cause } = error as Error;
      const why = cause instanceof Error ? `${message}: ${cause.message}` : message;
      this.#add({ file, command, text: "", seconds: 0, said: why });
    }
  }

  #addWithin(file: string, command: string, whole: string): void {
    const bytes = Buffer.from(whole).subarray(0, Math.min(this.limits.fileBytes, this.#room));
    const text = bytes.toString();
    this.#add({ file, command, text, seconds: 0, ...(text === whole ? {} : { truncated: "size" as const }) });
  }

  #add(file: Omit<CollectedFile, "bytes">): void {
    const bytes = Buffer.byteLength(file.text);
    this.#room -= bytes;
    this.files.push({ ...file, bytes, seconds: Number(file.seconds.toFixed(3)) });
  }
}

function toFile({ code, stdout, stderr, cut }: Captured, program: string) {
  const said = cut === "not installed" ? `${program} is not installed` : stderr.trim();
  return {
    text: stdout.toString(),
    ...(code === undefined ? {} : { exitCode: code }),
    ...(cut === "size" || cut === "time" ? { truncated: cut } : {}),
    ...(said === "" ? {} : { said }),
  };
}

/** Why a file tells less than it should; undefined when it tells all. */
export function lackOf({ bytes, truncated, exitCode, said }: Collected): string | undefined {
  if (truncated === "time") return "its command took too long";
  if (truncated === "size") return "it is too long, and has its beginning only";
  if (bytes > 0) return undefined;
  if (exitCode === 0 && said === undefined) return undefined;
  return said?.split("\n")[0] ?? `exit code ${exitCode}`;
}
