/** Logging: to stderr, one constant message a line with its data as fields; JSON unless a person is watching. */

import { type DestinationStream, type Logger, pino } from "pino";
import type { LogLevel } from "./log-level.js";

export type { Logger } from "pino";

export interface LogTarget {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly target: LogTarget;
  /** Lines for people instead of JSON. On a terminal when not said. */
  readonly readable?: boolean;
  /** Colours in readable lines. On a terminal when not said, unless NO_COLOR is set. */
  readonly colour?: boolean;
}

export function createLogger({ level, target, readable, colour }: LogOptions): Logger {
  const terminal = target.isTTY === true;
  const painted = colour ?? (terminal && !process.env.NO_COLOR);
  const stream: DestinationStream =
    (readable ?? terminal)
      ? { write: (line) => void target.write(`${readableLine(line, painted)}\n`) }
      : { write: (line) => void target.write(line) };
  const options = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, stream);
}

const colours: Readonly<Record<string, number>> = { fatal: 35, error: 31, warn: 33, info: 32, debug: 36, trace: 90 };

/** `12:07:01.123 warn  message field=value`, and a stack below where there is one. */
function readableLine(line: string, colour: boolean): string {
  const { level, time, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const paint = (text: string, code: number) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const word = paint(String(level).padEnd(5), colours[String(level)] ?? 0);
  const data = Object.entries(fields).map(([key, value]) => ` ${paint(`${key}=`, 90)}${fieldText(value)}`);
  const error = err as { message?: string; stack?: string } | undefined;
  const tail = error === undefined ? "" : `\n${error.stack ?? error.message ?? String(error)}`;
  return `${paint(String(time).slice(11, 23), 90)} ${word} ${String(msg ?? "")}${data.join("")}${tail}`;
}

function fieldText(value: unknown): string {
  return typeof value === "string" && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}
