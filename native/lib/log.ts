/** What libbpf prints: collected call by call, passed to a handler if there is one, and put into errors. */
import { addon } from "./addon.js";

export type LogLevel = "warn" | "info" | "debug";
export type LogHandler = (level: LogLevel, text: string) => void;

const LEVELS: readonly LogLevel[] = ["warn", "info", "debug"];

let handler: LogHandler | undefined;

/**
 * Sets who gets libbpf's own log, for this thread; undefined turns it off (as it is at first: nothing goes to stderr).
 * Debug lines come only when asked for, because they are many.
 */
export function setLogHandler(next: LogHandler | undefined, options: { debug?: boolean } = {}): void {
  handler = next;
  addon.setDebugLog(next !== undefined && options.debug === true);
}

/** Ends a call into libbpf: hands the lines out, and returns the warnings as one text. */
export function drainLog(): string {
  let warnings = "";
  for (const line of addon.takeLog()) {
    if (line.level === 0) warnings += line.text;
    handler?.(LEVELS[line.level] ?? "debug", line.text.replace(/\n$/, ""));
  }
  return warnings;
}
