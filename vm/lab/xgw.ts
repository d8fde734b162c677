/** xgw in the gateway's namespace: its commands, its daemon, and what the kernel says beside it. */

import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile, rename, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Counted, Status, TenantStatus } from "../../src/status.js";
import { built } from "../root.js";
import { CommandLine } from "./command-line.js";
import type { Host } from "./host.js";
import type { Namespace, Output } from "./netns.js";

const program = built("xgw/lib/main.js");

export class Xgw {
  private daemon: ChildProcess | undefined;
  /** How the daemon ended, if it did. */
  private ended: string | undefined;
  private log = "";
  private commands: CommandLine | undefined;

  constructor(
    readonly namespace: Namespace,
    private readonly agent: Host,
    readonly configFile: string,
  ) {}

  /** Runs one command to its end; a failure is a result, not an exception. */
  run(command: string, ...args: string[]): Promise<Output> {
    this.commands ??= new CommandLine(this.namespace);
    return this.commands.run(command, "-c", this.configFile, ...args);
  }

  /** Ends the process that runs commands, with all that it may hold. The daemon has an end of its own. */
  async endCommands(): Promise<void> {
    await this.commands?.stop();
    this.commands = undefined;
  }

  status(): Promise<Status> {
    return this.agent.status(this.configFile);
  }

  /** The counters of `status` alone. The config must be in force. */
  counted(): Promise<Counted> {
    return this.agent.counted(this.configFile);
  }

  async tenant(name: string): Promise<TenantStatus> {
    const tenant = (await this.counted()).tenants.find((candidate) => candidate.name === name);
    if (!tenant) throw new Error(`xgw status knows no tenant ${name}`);
    return tenant;
  }

  /** Packets of a tenant's that XDP gave to the kernel so that it uses the way that they take. */
  async samples(name: string): Promise<number> {
    return (await this.tenant(name)).xdp.sample?.packets ?? 0;
  }

  /** Starts the daemon and waits for its first reconciliation. */
  async startDaemon(): Promise<void> {
    const daemon = this.namespace.spawn([process.execPath, program, "run", "-c", this.configFile], {
      ...process.env,
      XGW_LOG: "info",
    });
    this.daemon = daemon;
    this.ended = undefined;
    this.log = "";
    const running = new Promise<void>((resolve, reject) => {
      daemon.stderr?.on("data", (data: Buffer) => {
        this.log += data.toString();
        if (this.log.includes('"msg":"running"')) resolve();
      });
      daemon.once("close", (code, signal) => {
        this.ended = `xgw run ended with ${signal ?? code}`;
        reject(new Error(`${this.ended}: ${this.log}`));
      });
    });
    await running;
  }

  /** Everything that the daemon has logged since its start. */
  get daemonLog(): string {
    return this.log;
  }

  /** Waits until the daemon has logged the message once more than `before` times. */
  async logged(message: string, before: number): Promise<void> {
    const deadline = performance.now() + 60_000;
    while (this.timesLogged(message) <= before) {
      if (this.ended !== undefined || performance.now() > deadline)
        throw new Error(`${this.silence} log "${message}": ${this.log}`);
      await sleep(100);
    }
  }

  private get silence(): string {
    return this.ended === undefined ? "the daemon did not" : `${this.ended} and did not`;
  }

  timesLogged(message: string): number {
    return this.log.split(`"msg":"${message}"`).length - 1;
  }

  /** Does something, and waits for the daemon to log the message that it leads to. */
  async causing(message: string, cause: () => Promise<unknown>): Promise<void> {
    const before = this.timesLogged(message);
    await cause();
    await this.logged(message, before);
  }

  /** Waits until the daemon has had nothing to log for a while. */
  async settled(): Promise<void> {
    for (let length = -1; length !== this.log.length; ) {
      length = this.log.length;
      await sleep(3000);
    }
  }

  signalDaemon(signal: NodeJS.Signals): void {
    this.daemon?.kill(signal);
  }

  /** Waits for a line of the daemon's log, beginning at an offset into it, and gives the line. */
  async logLine(words: RegExp, from: number, timeoutMs = 90_000): Promise<Record<string, unknown>> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = this.log
        .slice(from)
        .split("\n")
        .slice(0, -1)
        .find((line) => words.test(line));
      if (found !== undefined) return JSON.parse(found) as Record<string, unknown>;
      if (this.ended !== undefined || performance.now() > deadline)
        throw new Error(`${this.silence} log ${words}, but: ${this.log.slice(from) || "nothing"}`);
      await sleep(20);
    }
  }

  /** Edits the config as text, as an editor would: a new file in the place of the old. */
  async edit(...changes: readonly (readonly [from: string, to: string])[]): Promise<void> {
    let text = await readFile(this.configFile, "utf8");
    for (const [from, to] of changes) {
      if (!text.includes(from)) throw new Error(`the config does not have ${JSON.stringify(from)}`);
      text = text.replace(from, to);
    }
    await this.write(text);
  }

  async write(text: string): Promise<void> {
    await writeFile(`${this.configFile}~`, text);
    await rename(`${this.configFile}~`, this.configFile);
  }

  async stopDaemon(signal: NodeJS.Signals): Promise<void> {
    const daemon = this.daemon;
    this.daemon = undefined;
    if (!daemon || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = once(daemon, "exit");
    daemon.kill(signal);
    const patience = setTimeout(() => daemon.kill("SIGKILL"), 30_000);
    await ended;
    clearTimeout(patience);
  }

  /** Steps of the daemon's first reconciliation, as it logged them. */
  get stepsAtStart(): number {
    return Number(/"reason":"start".*?"steps":(\d+)/.exec(this.log)?.[1] ?? -1);
  }

  /** Lines of the conntrack table with all of these words. */
  async conntrack(...words: string[]): Promise<string[]> {
    const { stdout } = await this.namespace.tryRun("conntrack", "-L");
    return stdout.split("\n").filter((line) => words.every((word) => line.includes(word)));
  }
}
