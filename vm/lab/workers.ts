/**
 * Workers of one version in the gateway's namespace: one at work, and from the first that is to die on the next one started
 * already, and asked for a plan when it follows one that died, so that its code has been read by the time it is needed.
 */

import type { ChildProcess } from "node:child_process";
import { AnsweringChild, ChildEnded } from "./answering.js";
import type { Namespace } from "./netns.js";
import type { Done, Work } from "./worker.js";

/** A worker does not live long enough to be worth compiling for, least of all on an emulated CPU. */
const onlyInterpreted = ["--no-opt", "--no-sparkplug"];

class Worker {
  private readonly child: AnsweringChild;

  constructor(child: ChildProcess) {
    this.child = new AnsweringChild(child, "worker");
  }

  /** What came of it; "killed" when it died of it. */
  async carryOut(work: Work): Promise<Done | "killed"> {
    try {
      const { error, remedy = "", ...done } = await this.child.ask(work);
      if (typeof error === "string") throw new Error(`${error}; ${remedy}`);
      return done as unknown as Done;
    } catch (error) {
      if (error instanceof ChildEnded && error.by === "SIGKILL") return "killed";
      throw error;
    }
  }

  stop(): Promise<void> {
    return this.child.stop();
  }
}

export class Workers {
  private current: Worker;
  private spare: Worker | undefined;

  constructor(
    private readonly namespace: Namespace,
    /** The bundled worker of the version. */
    private readonly file: string,
    private readonly env: NodeJS.ProcessEnv = process.env,
  ) {
    this.current = this.start();
  }

  private start(): Worker {
    return new Worker(this.namespace.spawn([process.execPath, ...onlyInterpreted, this.file], this.env));
  }

  /** Whatever dies of it is replaced. */
  async carryOut(work: Work): Promise<Done | "killed"> {
    if (work.crashAt !== undefined) this.spare ??= this.start();
    const result = await this.current.carryOut(work);
    if (result === "killed") {
      this.current = this.spare ?? this.start();
      this.spare = this.start();
      this.spare.carryOut({ do: "plan", configFile: work.configFile }).catch(() => {}); // somebody else is at work
    }
    return result;
  }

  async stop(): Promise<void> {
    await Promise.all([this.current.stop(), this.spare?.stop()]);
  }
}
