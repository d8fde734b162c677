/** A command in a terminal of its own: a pseudo-terminal of script(1)'s. */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

export class Pty implements Disposable {
  output = "";
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;

  /** @param line for the shell; the terminal begins with 80 x 24 */
  constructor(line: string, env: Readonly<Record<string, string>> = { TERM: "vt100" }) {
    const script = `stty rows 24 cols 80; echo "tty=$(tty)"; echo "before=$(stty -g)"; ${line}; echo "code=$?"; echo "after=$(stty -g)"`;
    this.#child = spawn("script", ["-qefc", script, "/dev/null"], {
      env: { ...process.env, SHELL: "/bin/sh", ...env },
    });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.output += text;
    });
    this.ended = new Promise((resolve) => this.#child.once("exit", () => resolve()));
  }

  /** What a line NAME=VALUE of the shell's says. */
  said(name: string): string | undefined {
    return new RegExp(`${name}=([^\\r\\n]+)\\r`).exec(this.output)?.[1];
  }

  type(keys: string): void {
    this.#child.stdin?.write(keys);
  }

  resize(columns: number, rows: number): void {
    spawnSync("stty", ["-F", this.said("tty") ?? "", "rows", String(rows), "cols", String(columns)]);
  }

  /** The rows of the last whole screen. */
  screen(): string[] {
    const screens = this.output.split("\x1b[H\x1b[K").map((text) => text.split(/\r+\n/));
    // The last may not be here as a whole yet; the foot is.
    const isWhole = (rows: readonly string[]) => /^.{3}(q quit|filter: )/.test(rows.at(-1) ?? "");
    return screens.findLast(isWhole)?.map((row) => row.replace("\x1b[K", "")) ?? [];
  }

  /** @throws when it does not come within ten seconds */
  async until(isThere: () => boolean, what: string): Promise<void> {
    for (const end = performance.now() + 10_000; !isThere(); await sleep(20))
      if (performance.now() > end)
        throw new Error(`${what} did not come:\n${JSON.stringify(this.output.slice(-3000))}`);
  }

  untilShown = (text: string): Promise<void> => this.until(() => this.screen().join("\n").includes(text), text);

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}
