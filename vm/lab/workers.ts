/** Workers of one version in the gateway's namespace: one at work, the next one started already. */

import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Namespace } from "./netns.js";
import type { Done } from "./worker.js";

const workerFile = fileURLToPath(new URL("./worker.js", import.meta.url));

export interface Work {
  readonly do: "apply" | "plan" | "teardown";
  readonly configFile: string;
  readonly crashAt?: number;
}

class Worker {
  private waiting = new Map<number, (answer: Record<string, unknown>) => void>();
  private nextId = 1;
  readonly ready: Promise<void>;
  readonly ended: Promise<NodeJS.Signals | null>;

  constructor(private readonly child: ChildProcess) {
    this.ready = new Promise((resolve) => this.waiting.set(0, () => resolve()));
    this.ended = new Promise((resolve) => child.once("exit", (_code, signal) => resolve(signal)));
    if (child.stdout)
      createInterface({ input: child.stdout }).on("line", (line) => {
        const answer = JSON.parse(line) as { id: number };
        this.waiting.get(answer.id)?.(answer);
        this.waiting.delete(answer.id);
      });
    child.stderr?.on("data", (data: Buffer) => process.stderr.write(`worker: ${data}`));
  }

  /** What came of it; "killed" when it died of it. */
  async carryOut(work: Work): Promise<Done | "killed"> {
    await this.ready;
    const id = this.nextId++;
    const answer = new Promise<Record<string, unknown>>((resolve) => this.waiting.set(id, resolve));
    this.child.stdin?.write(`${JSON.stringify({ id, ...work })}\n`);
    const result = await Promise.race([answer, this.ended]);
    if (result === "SIGKILL") return "killed";
    if (result === null || typeof result === "string") throw new Error(`the worker ended (${result ?? "exit"})`);
    if (typeof result.error === "string") throw new Error(`${result.error}; ${result.remedy ?? ""}`);
    return result as unknown as Done;
  }

  end(): void {
    this.child.stdin?.end();
  }
}

export class Workers {
  private current: Worker;
  private spare: Worker;

  constructor(
    private readonly namespace: Namespace,
    /** Folder of the version. */
    private readonly version: string,
    private readonly env: NodeJS.ProcessEnv = process.env,
  ) {
    this.current = this.start();
    this.spare = this.start();
  }

  private start(): Worker {
    return new Worker(this.namespace.spawn([process.execPath, workerFile, this.version], this.env));
  }

  /** Whatever dies of it is replaced. */
  async carryOut(work: Work): Promise<Done | "killed"> {
    const result = await this.current.carryOut(work);
    if (result === "killed") {
      this.current = this.spare;
      this.spare = this.start();
    }
    return result;
  }

  stop(): void {
    this.current.end();
    this.spare.end();
  }
}
