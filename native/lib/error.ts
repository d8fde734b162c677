/** The one error class of the library. */
import { EBADF, EINVAL, errnoName, errnoText } from "./errno.js";
import { findVerifierFailure } from "./verifier-log.js";

export interface BpfErrorDetails {
  /** What was tried, such as "load object" or "get from map". */
  operation: string;
  /** What it was tried on: the name, path or id of an object, map, program, link or interface. */
  objectName?: string | undefined;
  /** Positive error number; either sign is accepted. */
  errno: number;
  /** Says more than the error number's text does. */
  reason?: string | undefined;
  /** What libbpf printed during the call. */
  log?: string | undefined;
}

/**
 * Says what was tried, on what, and what the kernel (or libbpf, or this library for the caller's mistakes) answered.
 *
 * The message is one line. Where the verifier rejected a program, it begins with the failing source line, and
 * {@link verifierLog} has all of the verifier's log.
 */
export class BpfError extends Error {
  override readonly name = "BpfError";
  /** What was tried. */
  readonly operation: string;
  /** What it was tried on, if that has a name. */
  readonly objectName: string | undefined;
  /** Positive error number; from 4000 on libbpf's own. */
  readonly errno: number;
  /** The error number's name, such as "EPERM". */
  readonly code: string;
  /** Why, without the operation and the code around it. */
  readonly reason: string;
  /** The verifier's whole log, when it was the verifier that said no. */
  readonly verifierLog: string | undefined;
  /** All that libbpf printed during the call, when that was anything. */
  readonly log: string | undefined;

  constructor(details: BpfErrorDetails) {
    const errno = Math.abs(details.errno);
    const failure = details.log === undefined ? undefined : findVerifierFailure(details.log);
    const code = errnoName(errno);
    const subject = details.objectName === undefined ? "" : ` ${details.objectName}`;
    let reason: string;
    if (failure !== undefined) {
      reason = failure.reason;
      const where = failure.sourceLine === undefined ? "" : `${failure.sourceLine}: `;
      super(
        `${where}${failure.reason} (program ${failure.program} rejected by the verifier; ${details.operation}${subject}: ${code})`,
      );
    } else {
      reason = details.reason ?? lastComplaint(details.log) ?? errnoText(errno);
      super(`${details.operation}${subject}: ${reason} (${code})`);
    }
    this.reason = reason;
    this.operation = details.operation;
    this.objectName = details.objectName;
    this.errno = errno;
    this.code = code;
    this.verifierLog = failure?.log;
    this.log = details.log || undefined;
  }
}

/** The first of libbpf's warnings, which is the one nearest the cause, without its prefix. */
function lastComplaint(log: string | undefined): string | undefined {
  const line = log?.split("\n").find((text) => text.trim() !== "");
  return line?.replace(/^libbpf: /, "").trim();
}

/** Throws when rc is negative; passes it through otherwise. */
export function check(rc: number, operation: string, objectName?: string, log?: string): number {
  if (rc < 0) throw new BpfError({ operation, objectName, errno: rc, log });
  return rc;
}

/** The caller's mistake: EINVAL with a reason. */
export function invalid(operation: string, objectName: string | undefined, reason: string): BpfError {
  return new BpfError({ operation, objectName, errno: EINVAL, reason });
}

/** Use after close(): EBADF. */
export function closedError(operation: string, objectName: string | undefined): BpfError {
  return new BpfError({ operation, objectName, errno: EBADF, reason: "used after close()" });
}
