/**
 * Every error that xgw raises on purpose: a stable code for programs, an exit code for shells, a remedy for people.
 * Anything else that escapes is a bug, and is reported as one.
 */

/** What the process says to the shell. `plan` alone uses 1 for "changes pending". */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  unsupported: 3,
  permission: 4,
  foreign: 5,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Stable names of the error classes: scripts may match on them, so they are added to but never renamed. */
export type ErrorCode =
  | "XGW_FAILED"
  | "XGW_USAGE"
  | "XGW_CONFIG"
  | "XGW_KERNEL"
  | "XGW_PERMISSION"
  | "XGW_FOREIGN"
  | "XGW_BUSY";

export interface XgwErrorOptions {
  /** What the reader can do about it: one sentence without a full stop. */
  readonly remedy?: string;
  readonly cause?: unknown;
  /** Data of the failure (a device's name, an errno) for logs and `-j`. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Base of all of them. On its own it means: tried, and failed (exit code 1). */
export class XgwError extends Error {
  readonly code: ErrorCode = "XGW_FAILED";
  readonly exitCode: ExitCode = exitCodes.failed;
  readonly remedy: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(message: string, options: XgwErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.remedy = options.remedy;
    this.details = options.details ?? {};
  }

  /** Plain data for `-j`. */
  toJSON(): Record<string, unknown> {
    return {
      code: this.code,
      message: this.message,
      ...(this.remedy === undefined ? {} : { remedy: this.remedy }),
      ...(Object.keys(this.details).length === 0 ? {} : { details: this.details }),
    };
  }
}

/** The command line cannot be understood. */
export class UsageError extends XgwError {
  override readonly code = "XGW_USAGE";
  override readonly exitCode = exitCodes.usage;
}

/** One thing wrong in the config, at its place. Lines and columns count from 1; 0 where there is no place in the file. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Path inside the file, such as `tenants[0].routes[1].via`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
  readonly remedy: string;
}

/** `file:line:col: path: what is wrong; remedy`, the form that editors and grep understand. */
export function formatProblem(problem: Problem, kind: "error" | "warning" = "error"): string {
  const place = problem.line > 0 ? `${problem.file}:${problem.line}:${problem.column}` : problem.file;
  const label = kind === "warning" ? "warning: " : "";
  const path = problem.path === "" ? "" : `${problem.path}: `;
  const remedy = problem.remedy === "" ? "" : `; ${problem.remedy}`;
  return `${place}: ${label}${path}${problem.message}${remedy}`;
}

/** The config is refused. Carries every problem found, not the first only, and the warnings found on the way. */
export class ConfigError extends XgwError {
  override readonly code = "XGW_CONFIG";
  override readonly exitCode = exitCodes.usage;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];

  constructor(problems: readonly Problem[], warnings: readonly Problem[] = []) {
    super(problems.map((problem) => formatProblem(problem)).join("\n"));
    this.problems = problems;
    this.warnings = warnings;
  }

  override toJSON(): Record<string, unknown> {
    return { ...super.toJSON(), errors: this.problems, warnings: this.warnings };
  }
}

/** This kernel or NIC cannot do what the config asks for. */
export class KernelError extends XgwError {
  override readonly code = "XGW_KERNEL";
  override readonly exitCode = exitCodes.unsupported;
}

/** The process lacks a capability, or may not read or write a file. */
export class PermissionError extends XgwError {
  override readonly code = "XGW_PERMISSION";
  override readonly exitCode = exitCodes.permission;
}

/** Something that xgw did not make is in the way. xgw never removes it. */
export class ForeignError extends XgwError {
  override readonly code = "XGW_FOREIGN";
  override readonly exitCode = exitCodes.foreign;
}

/** Another xgw holds the lock. */
export class BusyError extends XgwError {
  override readonly code = "XGW_BUSY";
}

/** Any thrown value as an XgwError: what is not one already is a bug, or an errno nobody translated. */
export function toXgwError(thrown: unknown): XgwError {
  if (thrown instanceof XgwError) return thrown;
  if (!(thrown instanceof Error)) return new XgwError(String(thrown));
  const errno = (thrown as NodeJS.ErrnoException).code;
  if (errno === "EPERM" || errno === "EACCES") {
    return new PermissionError(thrown.message, {
      cause: thrown,
      remedy: "run xgw as root, or with CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON",
    });
  }
  return new XgwError(thrown.message, { cause: thrown });
}
