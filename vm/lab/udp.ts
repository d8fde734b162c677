/** The UDP applications of udp.c: a process each, that prints lines of JSON. */

import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { built } from "../root.js";
import type { Namespace } from "./netns.js";

const program = built("lab/udp");

export class Udp {
  private readonly child: ChildProcess;
  private readonly lines: AsyncIterator<string>;
  private complaint = "";

  constructor(namespace: Namespace, ...args: readonly (string | number)[]) {
    this.child = namespace.spawn([program, ...args.map(String)]);
    if (!this.child.stdout) throw new Error("udp has no output");
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    this.child.stderr?.on("data", (data: Buffer) => {
      this.complaint += data;
    });
    this.child.stdin?.on("error", () => {}); // it has ended, which the next reading tells
  }

  /** Its next line. */
  async read<T>(): Promise<T> {
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`udp has ended: ${this.complaint.trim()}`);
    return JSON.parse(value) as T;
  }

  ask<T>(): Promise<T> {
    this.child.stdin?.write("\n");
    return this.read();
  }

  /** Lets it end by itself, and waits until it has, and its port is free. */
  async end(): Promise<void> {
    this.child.stdin?.end();
    await this.ended();
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.ended();
  }

  private async ended(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, "exit");
  }
}
