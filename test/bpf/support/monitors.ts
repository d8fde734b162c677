/** `xgw monitor` as processes beside a gateway, and packets that XDP drops meanwhile. */

import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { BpfProgram } from "libbpf-ts";
import { onTestFinished } from "vitest";
import type { FlowGateway } from "./flow-gateway.js";

const main = fileURLToPath(new URL("../../../dist/xgw/lib/main.js", import.meta.url));

export class Monitor {
  stdout = "";
  stderr = "";
  readonly child: ChildProcess;
  readonly #ended: Promise<number | null>;

  private constructor(gateway: FlowGateway, words: readonly string[]) {
    const args = [`--net=${gateway.namespace.path}`, process.execPath, main, "-c", gateway.config, "monitor", ...words];
    this.child = spawn("nsenter", args, { stdio: ["ignore", "pipe", "pipe"] });
    this.child.stdout?.on("data", (text) => {
      this.stdout += text;
    });
    this.child.stderr?.on("data", (text) => {
      this.stderr += text;
    });
    this.#ended = new Promise((done) => this.child.on("close", done));
    onTestFinished(() => {
      this.child.kill("SIGKILL");
    });
  }

  /** Begun, and listening. */
  static async start(gateway: FlowGateway, ...words: string[]): Promise<Monitor> {
    const monitor = new Monitor(gateway, words);
    await Promise.race([
      new Promise<void>((listening) => {
        monitor.child.stderr?.on("data", () => monitor.stderr.includes("listening") && listening());
      }),
      monitor.#ended.then(() => Promise.reject(new Error(`the monitor has ended: ${monitor.stderr}`))),
    ]);
    return monitor;
  }

  /** Its exit code. */
  ended(): Promise<number | null> {
    return this.#ended;
  }

  /** Lines of JSON, as soon as it has ended. */
  async events(): Promise<Record<string, unknown>[]> {
    await this.#ended;
    return this.stdout.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line)]));
  }
}

/** The pinned XDP program looks at a frame. */
export function receive(gateway: FlowGateway, frame: Buffer, times = 1): void {
  const [fingerprint = ""] = gateway.pins.fingerprints();
  using program = BpfProgram.openPinned(gateway.pins.program(fingerprint, "xgw_xdp"));
  program.testRun({ data: frame, repeat: times });
}
