/** docs/benchmark.md and its plots. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repoRoot } from "../vm/root.js";
import type { Bindings } from "./bindings.js";
import { flowCounts } from "./cases.js";
import { type Gate, gatesOf, isMet, wish } from "./gates.js";
import type { Result } from "./measure.js";
import { names } from "./names.js";
import { barPlot } from "./plot.js";
import type { Results } from "./results.js";
import { type Figure, hasFailed, type SectionFailure, type SectionReport } from "./section.js";

/** What people wrote: it ends the report. */
const tried = join(repoRoot, "docs", "benchmark", "tried.md");

const number = (value: number) => value.toLocaleString("en", { maximumFractionDigits: 2 });

const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(header), line(header.map((_, index) => (index === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

function gateRow(gate: Gate): string[] {
  const { name, unit, measured } = gate;
  const value = measured === undefined ? "not measured" : `${number(measured)} ${unit}`.trim();
  return [name, wish(gate), value, measured === undefined ? "" : isMet(gate) ? "yes" : "**no**"];
}

function resultRow({ name, flows, least, net, baseline }: Result): string[] {
  return [name, number(flows), ...[least, net.median, net.q1, net.q3, baseline.median].map((ns) => ns.toFixed(0))];
}

function bindingsText(bindings: Bindings): string {
  return `## libbpf-ts

${number(bindings.entries)} entries of 16 + 48 bytes; medians of ${bindings.rounds} round${bindings.rounds > 1 ? "s" : ""}, C and
libbpf-ts in turn. Memory at rest over bare Node.js: ${mebibytes(bindings.restingBytes.withLibbpfTs)}, with the kernel's BTF parsed
${mebibytes(bindings.restingBytes.withVmlinuxBtf)}.

${table(
  ["", "÷ C"],
  Object.entries(bindings.ratio).map(([name, ratio]) => [name, ratio.toFixed(2)]),
)}

${table(
  ["", "a second"],
  Object.entries(bindings.perSecond).map(([name, rate]) => [name, number(rate)]),
)}
`;
}

/** All figures of a section one under the other; rounds where there were any. */
function figuresTable(figures: readonly Figure[]): string {
  if (figures.length === 0) return "";
  const varies = figures.some(({ at }) => at !== undefined);
  const inRounds = figures.some(({ spread }) => spread !== undefined);
  const cells = ({ name, at = "", value, unit, spread }: Figure) => [
    name,
    ...(varies ? [at] : []),
    `${number(value)} ${unit}`.trim(),
    ...(inRounds ? [spread?.median, spread?.q1, spread?.q3].map((ns) => (ns === undefined ? "" : number(ns))) : []),
  ];
  const header = ["", ...(varies ? ["at"] : []), "", ...(inRounds ? ["median", "quartile 1", "quartile 3"] : [])];
  return `${table(header, figures.map(cells))}\n`;
}

function sectionText(section: SectionReport | SectionFailure): string {
  if (hasFailed(section)) return `## ${section.title}\n\nNot measured: ${section.failed}\n`;
  const plots = Object.entries(section.plots).map(([file, { title }]) => `![${title}](benchmark/${file}.svg)`);
  return [`## ${section.title}`, ...plots, ...section.text, figuresTable(section.figures)].join("\n\n");
}

function text(results: Results): string {
  const { machine, programs, peers } = results;
  return `# Benchmark

Written by \`npm run bench\`; do not edit. \`npm run bench -- --compare OLD.json NEW.json\` compares two runs.

| | |
| --- | --- |
| when | ${results.date}, ${results.effort} run of ${results.seconds} s |
| machine | ${machine.cpu}, ${machine.cpus} CPUs${machine.hypervisor ? ", a virtual machine" : ""}, ${machine.memoryMiB} MiB |
| kernel | ${machine.kernel} ${machine.arch}, BPF JIT ${machine.jit} |
| compiler | ${machine.clang} |
| Node.js | ${machine.node} |
| commit | ${machine.commit} |
| load before | ${machine.loadBefore.toFixed(2)} |
${Object.entries(peers)
  .map(([name, version]) => `| ${name} | ${version} |`)
  .join("\n")}

Times differ from machine to machine, and on a shared one from minute to minute: compare figures of one run only.

## What must hold

${table(["", "wanted", "measured", "met"], gatesOf(results).map(gateRow))}

## What a program costs

![Established flows](benchmark/established.svg)

![Parts](benchmark/parts.svg)

Nanoseconds a packet, by \`BPF_PROG_TEST_RUN\` on one CPU. Before each packet a generator program makes the headers anew
and patches in the next flow, in pseudo-random order, then tail-calls the program under test. *Net* is what is left when
the same generator's time with an empty program is taken away. *Least* is the least total of all rounds less the least
baseline; the gates use it. Quartiles are over ${programs[0]?.net.rounds ?? 0} interleaved rounds. The kernel counts whole
nanoseconds. The verdict and the first packet that comes out of each program are checked, byte for byte where it is
forwarded. All tables hold 1,048,576 flows and more, however many of them are visited. The primitives of an established
flow are parsing, the flow table's lookup, two hot lines (the template, the tenant's generation), the rewrite of all headers
and a per-CPU counter. The cold lines lie in as much memory as the flow table has.

${table(["", "flows", "least", "median", "quartile 1", "quartile 3", "generator"], programs.map(resultRow))}

${results.bindings ? bindingsText(results.bindings) : ""}
${Object.entries(results.sections ?? {})
  .map(([, section]) => sectionText(section))
  .join("\n")}
${readFileSync(tried, "utf8")}`;
}

export function writeReport(results: Results, folder: string): void {
  const { programs } = results;
  const least = (name: string, flows: number) =>
    programs.find((result) => result.name === name && result.flows === flows)?.least;
  const byFlows = [names.establishedTcp, names.fromUplinkUdp, names.stockTcp, names.table];
  const parts = [
    ...[
      names.parse,
      names.table,
      names.line,
      names.rewrite,
      names.counter,
      names.push,
      names.pop,
      names.devmap,
      names.hash,
    ],
    ...[
      names.establishedTcp,
      names.establishedUdp,
      names.fromUplinkUdp,
      names.toUplinkUdp,
      names.miss,
      names.unknownKey,
      names.stranger,
      names.monitoredDrop,
      names.xdpForward,
    ],
  ];
  mkdirSync(join(folder, "benchmark"), { recursive: true });
  const plot = (name: string, svg: string) => writeFileSync(join(folder, "benchmark", `${name}.svg`), svg);
  plot(
    "established",
    barPlot({
      title: "Established flows, visited in random order",
      unit: "ns",
      categories: flowCounts.map((flows) => `${number(flows)} flow${flows > 1 ? "s" : ""}`),
      series: byFlows.map((name) => ({ name, values: flowCounts.map((flows) => least(name, flows)) })),
    }),
  );
  plot(
    "parts",
    barPlot({
      title: "One flow: parts, paths and a peer",
      unit: "ns",
      categories: parts,
      series: [{ name: "least, net", values: parts.map((name) => least(name, 1)) }],
    }),
  );
  for (const section of Object.values(results.sections ?? {}))
    if (!hasFailed(section)) for (const [name, of] of Object.entries(section.plots)) plot(name, barPlot(of));
  writeFileSync(join(folder, "benchmark.md"), text(results).replaceAll(/\n{3,}/g, "\n\n"));
}
