/**
 * xgw as a library: what the command line does, for a program of one's own. See docs/embedding.md.
 *
 * Everything acts on the network namespace that the process is in, and wants the privileges that `xgw` wants. Errors are
 * of the classes below, with a stable `code`, the `exitCode` that the command would have, and a `remedy`.
 */

import { EventEmitter } from "node:events";
import { checkConfigValue, loadConfig } from "./config/load.js";
import type { Config, ConfigInput } from "./config/schema.js";
import { type ConfigSource, configFile } from "./daemon/config-source.js";
import { runDaemon } from "./daemon/daemon.js";
import type { DaemonEvents, DaemonLog, Emit } from "./daemon/events.js";
import type { Problem } from "./errors.js";
import * as core from "./gateway.js";
import { withLock } from "./lock.js";
import { describeStep } from "./plan/describe.js";
import type { Step } from "./plan/steps.js";
import { readStatus, type Status } from "./status.js";

export type { Config, ConfigInput, ConfigTenant } from "./config/schema.js";
export type { DaemonLog } from "./daemon/events.js";
export {
  BusyError,
  ConfigError,
  type ErrorCode,
  type ExitCode,
  exitCodes,
  ForeignError,
  formatProblem,
  KernelError,
  PermissionError,
  type Problem,
  XgwError,
} from "./errors.js";
export { describeStep } from "./plan/describe.js";
export type { Step, StepKind } from "./plan/steps.js";
export type { Status, TenantStatus } from "./status.js";

/** A config that is right. */
export interface Checked {
  /** Every default filled in, tenants of all files in one list. */
  readonly config: Config;
  /** What is allowed but hardly meant. */
  readonly warnings: readonly Problem[];
}

/** What would be done, or was. */
export interface Change {
  readonly instance: string;
  /** In their order; empty when there is nothing to do. */
  readonly steps: readonly Step[];
  /** A line a step, as `xgw plan` prints them. */
  readonly lines: readonly string[];
}

export interface Removed {
  readonly instance: string;
  /** Pins of the programs' attachments. */
  readonly attachments: readonly string[];
  readonly devices: readonly string[];
  /** Whether there was an nft table. */
  readonly table: boolean;
}

export interface LockOptions {
  /** How long to wait while another process changes the same instance, milliseconds; 10,000 unless given. */
  readonly waitMs?: number;
}

export interface RunOptions {
  /** Ends `run`. Traffic goes on. */
  readonly signal: AbortSignal;
  /** Nothing is logged unless given. A pino logger will do. */
  readonly log?: DaemonLog;
}

type Events = { [K in keyof DaemonEvents]: [event: DaemonEvents[K]] };

/** One gateway: a config, and the instance in the kernel that it names. */
export class Gateway extends EventEmitter<Events> {
  private source: string | ConfigInput;
  private readonly followers = new Set<() => void>();

  /** @param source a config file (with tenants.d beside it), or a config as a value */
  constructor(source: string | ConfigInput) {
    super();
    this.source = source;
  }

  /** Reads and checks the config. Needs no privilege and touches nothing. @throws ConfigError with every problem */
  async check(): Promise<Checked> {
    const { config, warnings } = await this.load();
    return { config, warnings };
  }

  /** What `apply` would do. Changes nothing. @throws ConfigError, PermissionError, KernelError, ForeignError */
  async plan(): Promise<Change> {
    return toChange(await core.planChange((await this.load()).config));
  }

  /** Makes the kernel what the config wants, and reads back that it is. @throws as `plan` does, and BusyError */
  async apply({ waitMs = defaultWaitMs }: LockOptions = {}): Promise<Change> {
    const { config } = await this.load();
    return toChange(await withLock({ instance: config.instance, purpose: "apply", waitMs }, () => core.apply(config)));
  }

  /** In step or not; flows, packets and denials of each tenant. */
  async status(): Promise<Status> {
    return readStatus((await this.load()).config);
  }

  /** Removes everything of the instance from the kernel, and nothing of anybody else. */
  async teardown({ waitMs = defaultWaitMs }: LockOptions = {}): Promise<Removed> {
    const { instance } = (await this.load()).config;
    const removed = await withLock({ instance, purpose: "teardown", waitMs }, () => core.teardown(instance));
    return { instance, ...removed };
  }

  /**
   * Keeps the kernel in step until the signal is aborted: applies the config, follows its changes (of the file, or by
   * `replace`), and repairs what others change. Resolves when aborted.
   *
   * @throws when the first config cannot be put in force; what fails later is an event
   */
  async run({ signal, log = silent }: RunOptions): Promise<void> {
    const emit: Emit = (name, event) => void (this as EventEmitter).emit(name, event);
    await runDaemon(this.follow(), { log, stop: signal, emit });
  }

  /** Another config, for the next call, and for a `run` that is going on. */
  replace(source: string | ConfigInput): void {
    this.source = source;
    for (const changed of this.followers) changed();
  }

  private load() {
    return typeof this.source === "string" ? loadConfig(this.source) : checkConfigValue(this.source);
  }

  /** The file that is watched is the one of now: `replace` with another stops watching it. */
  private follow(): ConfigSource {
    let file: { readonly path: string; readonly source: ConfigSource; close?: () => void } | undefined;
    let changed: (why: string) => void = () => {};
    const watchFile = () => {
      if (file?.path === this.source) return;
      file?.close?.();
      file = typeof this.source === "string" ? { path: this.source, source: configFile(this.source) } : undefined;
      if (file) file.close = file.source.watch((why) => changed(why)).close;
    };
    const replaced = () => {
      watchFile();
      changed("replaced");
    };
    return {
      load: async (why) => file?.source.load(why) ?? this.load(),
      watch: (tell) => {
        changed = tell;
        watchFile();
        this.followers.add(replaced);
        return {
          close: () => {
            this.followers.delete(replaced);
            file?.close?.();
            file = undefined;
          },
        };
      },
    };
  }
}

const defaultWaitMs = 10_000;

const silent: DaemonLog = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

function toChange({ desired, steps }: core.Plan): Change {
  return { instance: desired.instance, steps, lines: steps.map(describeStep) };
}
