/**
 * A part of the benchmark with figures of its own, beside the cost of the programs. To add one, write it and name it in
 * sections.ts: its figures, gates and plots then are in the result file, the report and the comparison.
 */
import type { Gate } from "./gates.js";
import type { BarPlot } from "./plot.js";
import type { Spread } from "./stats.js";

export interface Figure {
  /** With `at` it is the figure's name when two runs are compared. */
  readonly name: string;
  /** What it was measured at, such as "65,536 flows". */
  readonly at?: string;
  /** The one to compare: the least of all rounds, or what the section says. */
  readonly value: number;
  readonly unit: string;
  /** "neither": a yardstick or a size, which no comparison judges. */
  readonly better: "less" | "more" | "neither";
  /** Round by round. */
  readonly spread?: Spread;
}

export interface SectionReport {
  readonly title: string;
  readonly seconds: number;
  /** Paragraphs of Markdown: what was done and how to read it. */
  readonly text: readonly string[];
  readonly figures: readonly Figure[];
  readonly gates: readonly Gate[];
  /** File names without ".svg". */
  readonly plots: Readonly<Record<string, BarPlot>>;
}

/** What a section that broke leaves, lest the others' figures be lost. */
export interface SectionFailure {
  readonly title: string;
  readonly failed: string;
}

export interface SectionContext {
  readonly effort: "quick" | "full";
  say(line: string): void;
}

export interface Section {
  /** For --only, and as the key in result files. */
  readonly id: string;
  readonly title: string;
  /** Takes long, for it boots a machine: not part of a quick run unless it is asked for. */
  readonly isSlow?: true;
  run(context: SectionContext): Promise<Omit<SectionReport, "title" | "seconds">>;
}

export function hasFailed(section: SectionReport | SectionFailure): section is SectionFailure {
  return "failed" in section;
}

export async function runSection(section: Section, context: SectionContext): Promise<SectionReport | SectionFailure> {
  const { title } = section;
  const started = performance.now();
  try {
    const report = await section.run(context);
    return { title, seconds: Math.round((performance.now() - started) / 1000), ...report };
  } catch (error) {
    const failed = error instanceof Error ? error.message : String(error);
    context.say(`${section.id} failed: ${error instanceof Error ? (error.stack ?? failed) : failed}`);
    return { title, failed };
  }
}
