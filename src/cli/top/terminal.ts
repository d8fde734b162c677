/** A terminal that a command draws on: what it changes of it is put back whichever way the process ends, but for SIGKILL. */

import { UsageError } from "../../errors.js";
import type { Size } from "./screen.js";

const enter = "\x1b[?1049h\x1b[?25l";
const leave = "\x1b[?25h\x1b[?1049l";
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface TerminalEvents {
  onKeys(text: string): void;
  onResize(): void;
  /** A signal that ends processes, or nobody is at the terminal any more. */
  onEnd(): void;
}

export class Terminal implements Disposable {
  #isOpen = true;

  private constructor(private readonly events: TerminalEvents) {
    const { stdin, stdout } = process;
    stdin.setRawMode(true);
    stdin.setEncoding("utf8");
    stdin.on("data", events.onKeys).on("end", events.onEnd).on("error", events.onEnd).resume();
    stdout.on("resize", events.onResize).on("error", events.onEnd);
    for (const signal of signals) process.on(signal, events.onEnd);
    process.on("exit", this.#restore); // after an exception that nobody caught, too
    stdout.write(enter);
  }

  /** @throws UsageError where there is none that can be drawn on */
  static open(events: TerminalEvents): Terminal {
    const remedy = "use --batch (-b), which prints one table after the other";
    if (!process.stdin.isTTY || !process.stdout.isTTY)
      throw new UsageError("the live table needs a terminal at standard input and output", { remedy });
    const { TERM = "" } = process.env;
    if (TERM === "" || TERM === "dumb")
      throw new UsageError(`a terminal with TERM=${TERM} cannot be drawn on`, { remedy });
    return new Terminal(events);
  }

  get size(): Size {
    return { columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 };
  }

  /** Each row is emptied before it is written: after a row that is full, its last column would be. */
  draw(lines: readonly string[]): void {
    if (this.#isOpen) process.stdout.write(`\x1b[H${lines.map((line) => `\x1b[K${line}`).join("\r\n")}`);
  }

  readonly #restore = (): void => {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.stdout.write(leave);
    try {
      process.stdin.setRawMode(false);
    } catch {
      // The terminal has gone, and its mode with it.
    }
  };

  [Symbol.dispose](): void {
    const { stdin, stdout } = process;
    this.#restore();
    process.off("exit", this.#restore);
    for (const signal of signals) process.off(signal, this.events.onEnd);
    stdout.off("resize", this.events.onResize);
    stdin.off("data", this.events.onKeys).pause();
  }
}
