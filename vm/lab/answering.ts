/** A child process that is asked by lines of JSON, `{ id, do, ... }`, and answers each by one line `{ id, ... }`. */

import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";

type Answer = Record<string, unknown>;
type Ending = NodeJS.Signals | number;

/** The child is no more; what it was asked stays without an answer. */
export class ChildEnded extends Error {
  constructor(
    name: string,
    /** The signal or the status that it ended with. */
    readonly by: Ending,
  ) {
    super(`${name} has ended (${by})`);
  }
}

export class AnsweringChild {
  private readonly waiting = new Map<number, { resolve(answer: Answer): void; reject(error: Error): void }>();
  private nextId = 1;
  private end: Ending | undefined;
  private readonly closed: Promise<void>;
  /** Its first line, which has the id 0. */
  private readonly ready: Promise<Answer>;

  /** @param name for messages */
  constructor(
    private readonly child: ChildProcess,
    private readonly name: string,
  ) {
    this.ready = this.answerTo(0);
    this.ready.catch(() => {}); // told to whom asks
    if (child.stdout)
      createInterface({ input: child.stdout }).on("line", (line) => {
        const answer = JSON.parse(line) as { id: number };
        this.waiting.get(answer.id)?.resolve(answer);
        this.waiting.delete(answer.id);
      });
    child.stderr?.on("data", (data: Buffer) => process.stderr.write(`${name}: ${data}`));
    child.stdin?.on("error", () => {}); // it has ended, which is told below
    this.closed = new Promise((resolve) =>
      child.once("close", (code, signal) => {
        this.end = signal ?? code ?? 1;
        for (const { reject } of this.waiting.values()) reject(new ChildEnded(name, this.end));
        this.waiting.clear();
        resolve();
      }),
    );
  }

  private answerTo(id: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.end === undefined) this.waiting.set(id, { resolve, reject });
      else reject(new ChildEnded(this.name, this.end));
    });
  }

  /** @throws ChildEnded */
  async ask(request: object): Promise<Answer> {
    await this.ready;
    const id = this.nextId++;
    const answer = this.answerTo(id);
    this.child.stdin?.write(`${JSON.stringify({ id, ...request })}\n`);
    return answer;
  }

  /** Ends it in the middle of whatever it does. */
  async stop(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.closed;
  }
}
