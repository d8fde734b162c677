/** Processes that wait for one another, so that they work at the same time. */
import { spawn } from "node:child_process";

export interface Worker {
  readonly ready: Promise<void>;
  go(): void;
  /** What it says at its end. */
  readonly output: Promise<string>;
}

/** A process that says "ready" and waits for a line. */
export function startWorker(command: string, args: readonly string[]): Worker {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  let said = "";
  child.stdout.setEncoding("utf8");
  const ended = new Promise<void>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => (status === 0 ? resolve() : reject(new Error(`a worker ended with ${status}`))));
  });
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout.on("data", (text: string) => {
      said += text;
      if (said.includes("\n")) resolve();
    });
    ended.catch(reject);
  });
  const output = ended.then(() => said.split("\n")[1] ?? "");
  return { ready, go: () => child.stdin.write("go\n"), output };
}
