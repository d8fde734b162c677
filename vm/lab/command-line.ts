/** `xgw COMMAND` in the gateway's namespace, by a process that stays. */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { AnsweringChild } from "./answering.js";
import type { Namespace, Output } from "./netns.js";

/** Seen from the compiled module, and from its source, which a test imports. */
const program = ["../../lab/", "../../dist/lab/"]
  .map((folder) => fileURLToPath(new URL(`${folder}commands.js`, import.meta.url)))
  .find((file) => existsSync(file));

export class CommandLine {
  private readonly child: AnsweringChild;

  constructor(namespace: Namespace) {
    if (program === undefined) throw new Error("dist/lab/commands.js has not been built: run `npm run build:bundle`");
    this.child = new AnsweringChild(namespace.spawn([process.execPath, program]), "xgw");
  }

  /** One after the other; a failure is a result, not an exception. */
  async run(...args: string[]): Promise<Output> {
    return (await this.child.ask({ args })) as unknown as Output;
  }

  stop(): Promise<void> {
    return this.child.stop();
  }
}
