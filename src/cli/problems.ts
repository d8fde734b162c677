/** Config problems as lines for people. */

import { type ConfigError, formatProblem, type Problem } from "../errors.js";

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

export function warningLines(warnings: readonly Problem[]): string[] {
  return warnings.map((warning) => formatProblem(warning, "warning"));
}

/** Every error and warning, a line each, and how many there are. */
export function problemLines({ problems, warnings }: ConfigError): string[] {
  const total = [count(problems.length, "error"), ...(warnings.length > 0 ? [count(warnings.length, "warning")] : [])];
  return [
    ...problems.map((problem) => formatProblem(problem)),
    ...warningLines(warnings),
    `xgw: the config is refused: ${total.join(", ")}`,
  ];
}

export function configSummary(tenants: number, warnings: number): string {
  return `valid, ${count(tenants, "tenant")}${warnings > 0 ? `, ${count(warnings, "warning")}` : ""}`;
}
