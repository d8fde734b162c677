/** Log levels and which one was asked for; apart from the logger, so that knowing the words does not load it. */

export const logLevels = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LevelChoice {
  /** `--log-level` */
  readonly option?: LogLevel | undefined;
  /** How often `-v` was given: once is debug, more is trace. */
  readonly verbose?: number | undefined;
  /** The variable XGW_LOG; a word that is no level counts as not set. */
  readonly environment?: string | undefined;
  /** What the command logs when nobody asked for anything. */
  readonly fallback?: LogLevel | undefined;
}

/** The level that was asked for most expressly. */
export function chooseLevel({ option, verbose = 0, environment, fallback = "warn" }: LevelChoice): LogLevel {
  if (option !== undefined) return option;
  if (verbose > 0) return verbose > 1 ? "trace" : "debug";
  return logLevels.find((level) => level === environment) ?? fallback;
}
