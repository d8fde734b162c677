/** What the demo prints. */

import type { CheckResult, Tiers } from "./check.js";

export function checkLine({ ok, title, wanted, seen, seconds }: CheckResult): string {
  const mark = ok ? "ok  " : "FAIL";
  return [`${mark}  ${title}  (${seconds} s)`, `        wanted  ${wanted}`, `        seen    ${seen}`].join("\n");
}

const barWidth = 50;

/** The bulk transfer's packets, a bar a tier. Empty when there is nothing to draw. */
export function picture(results: readonly CheckResult[]): string[] {
  const tiers = results.find(({ tiers }) => tiers)?.tiers;
  if (!tiers) return [];
  return ["", "What carried the bulk transfer, client to 2.2.2.11:22, 50 MB each way:", "", ...bars(tiers)];
}

function bars({ xdp, kernel }: Tiers): string[] {
  const total = Math.max(1, xdp + kernel);
  const row = (name: string, packets: number) => {
    const full = Math.floor((packets / total) * barWidth);
    const bar = packets > 0 && full === 0 ? "▏" : "█".repeat(full);
    const share = `${((100 * packets) / total).toFixed(2)} %`;
    return `  ${name.padEnd(34)} ${bar.padEnd(barWidth)} ${String(packets).padStart(8)}  ${share.padStart(8)}`;
  };
  return [row("tier 1    XDP flow map", xdp), row("tiers 2, 3  kernel (flowtable, stack)", kernel)];
}

export function summary(report: { kernel: string; emulated: boolean; passed: number; failed: number }): string[] {
  const where = `Linux ${report.kernel}${report.emulated ? " in a VM" : ""}`;
  return ["", `${report.passed} checks passed, ${report.failed} failed, on ${where}`];
}
