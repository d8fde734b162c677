/** A shell at a terminal: types keys, and sees what is on the screen. `script` is the terminal. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

export class Terminal {
  private readonly child: ChildProcess;
  /** Since the last `type`, without control sequences. */
  private seen = "";

  constructor(shell: string, env: Readonly<Record<string, string>>) {
    this.child = spawn("script", ["-qfc", shell, "/dev/null"], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, TERM: "dumb", LC_ALL: "C.UTF-8", COLUMNS: "200", LINES: "60", ...env },
    });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.seen += text;
    });
  }

  /** @throws Error when the screen never shows what is awaited */
  async type(keys: string, awaited: RegExp, timeoutMs = 15_000): Promise<void> {
    this.seen = "";
    this.child.stdin?.write(keys);
    const deadline = Date.now() + timeoutMs;
    while (!awaited.test(this.seen)) {
      if (Date.now() > deadline) throw new Error(`no ${awaited} after ${JSON.stringify(keys)}, but:\n${this.seen}`);
      await new Promise((done) => setTimeout(done, 20));
    }
  }

  /** The shell goes with its terminal. */
  async close(): Promise<void> {
    const gone = once(this.child, "close");
    this.child.kill("SIGKILL");
    await gone;
  }
}
