/** Something that keeps a gateway from working, or may, although every step of the plan is in place. */

/**
 * critical: tenants' packets are lost or misled, or what keeps tenants apart is in doubt. warning: it works, but worse than it
 * should, or not for long. note: worth knowing.
 */
export const severities = ["critical", "warning", "note"] as const;
export type Severity = (typeof severities)[number];

/** Sentences begin small and have no full stop. */
export interface Finding {
  /** Of the kind of finding, in docs/operate.md. */
  readonly id: string;
  readonly severity: Severity;
  /** What it is about: a device, a setting, an address; empty when there is only one. With `id`, unlike all others. */
  readonly subject: string;
  readonly what: string;
  /** Why it matters. */
  readonly why: string;
  /** The command that shows it. */
  readonly evidence: string;
  /** The command that mends it; behind a ` # `, when to use it. */
  readonly remedy: string;
}

/** In one line. */
export const findingText = ({ what, why, remedy }: Finding): string => `${what}: ${why}; ${remedy}`;

/** The worst first; of one severity as they come. */
export const bySeverity = (findings: readonly Finding[]): Finding[] =>
  severities.flatMap((severity) => findings.filter((finding) => finding.severity === severity));

export type FindingCounts = Readonly<Record<Severity, number>>;

export function countFindings(findings: readonly Finding[]): FindingCounts {
  const count = (severity: Severity) => findings.filter((finding) => finding.severity === severity).length;
  return { critical: count("critical"), warning: count("warning"), note: count("note") };
}

/** `1 critical, 2 warnings`, or `nothing found`. */
export function countsText({ critical, warning, note }: FindingCounts): string {
  const plural = (count: number, word: string) => `${count} ${word}${count === 1 ? "" : "s"}`;
  const parts = [
    ...(critical > 0 ? [`${critical} critical`] : []),
    ...(warning > 0 ? [plural(warning, "warning")] : []),
    ...(note > 0 ? [plural(note, "note")] : []),
  ];
  return parts.join(", ") || "nothing found";
}
