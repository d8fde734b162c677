/** A run's results as a file. */
import { readFileSync, writeFileSync } from "node:fs";
import type { Bindings } from "./bindings.js";
import type { Machine } from "./machine.js";
import type { Result } from "./measure.js";
import type { SectionFailure, SectionReport } from "./section.js";

export const format = "xgw-bench/1";

export interface Results {
  readonly format: typeof format;
  readonly date: string;
  readonly effort: string;
  readonly seconds: number;
  readonly machine: Machine;
  readonly peers: Readonly<Record<string, string>>;
  readonly programs: readonly Result[];
  /** Undefined: not measured. */
  readonly bindings?: Bindings;
  /** By their ids; none in the files of earlier versions. */
  readonly sections?: Readonly<Record<string, SectionReport | SectionFailure>>;
}

export function readResults(file: string): Results {
  const results = JSON.parse(readFileSync(file, "utf8")) as Results;
  if (results.format !== format) throw new Error(`${file} is not a result file of this benchmark (${format})`);
  return results;
}

export function writeResults(file: string, results: Results): void {
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
}
