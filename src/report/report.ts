/** A support bundle: what inspection, kernel and machine say, in one archive. Changes nothing but the file that it writes. */

import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { libraryVersion } from "../datapath/library.js";
import { XgwError } from "../errors.js";
import { readLinks } from "../kernel/rtnetlink.js";
import { checkTarget, writeArchive, writePrivate } from "./archive.js";
import { type Collected, type CollectedFile, Collector, lackOf } from "./collect.js";
import { withoutComments } from "./comments.js";
import { namesIn } from "./names.js";
import { partsOf } from "./parts.js";
import { Redactor } from "./redact.js";

export interface ReportOptions {
  readonly file: string;
  readonly configFile: string;
  /** How this xgw is started with that config. */
  readonly self: readonly string[];
  /** Of the config in question, when it can be read. */
  readonly metrics: string | undefined;
  readonly isRedacted: boolean;
  /** Where the mapping goes: never into the archive. */
  readonly mapFile: string | undefined;
  /** Of this xgw. */
  readonly version: string;
}

/** As `xgw report -j` prints it: docs/output/report.schema.json. */
export interface Report {
  readonly file: string;
  readonly redacted: boolean;
  readonly files: number;
  /** What tells less than it should, and why. */
  readonly incomplete: readonly { readonly file: string; readonly why: string }[];
}

/** Devices of the machine's own that are asked for their drivers' figures, at most. */
const maxNics = 16;

/** @throws UsageError, XgwError: then there is no file */
export async function report(options: ReportOptions): Promise<Report> {
  const { file, isRedacted, mapFile } = options;
  for (const target of [file, ...(mapFile === undefined ? [] : [mapFile])]) checkTarget(target);
  const collected = await collect(options);
  const shown = isRedacted ? redact(collected, options) : { files: collected, mapping: {} };
  const manifest = manifestOf(shown.files, options);
  await writeArchive(
    file,
    new Map([["manifest.json", manifest], ...shown.files.map((one) => [one.file, one.text] as const)]),
  );
  if (mapFile !== undefined) writePrivate(mapFile, `${JSON.stringify(shown.mapping, null, 2)}\n`);
  const incomplete = shown.files.flatMap((one) => {
    const why = lackOf(one);
    return why === undefined ? [] : [{ file: one.file, why }];
  });
  return { file, redacted: isRedacted, files: shown.files.length + 1, incomplete };
}

async function collect({ configFile, self, metrics }: ReportOptions): Promise<readonly CollectedFile[]> {
  const collector = new Collector(self);
  for (const [n, path] of configFiles(configFile).entries())
    await collector.readFile(n === 0 ? "config/main.yaml" : `config/tenants.d/${n}.yaml`, path);
  const nics = readLinks().filter(({ name, alias = "" }) => name !== "lo" && !alias.startsWith("xgw/"));
  for (const part of partsOf(nics.slice(0, maxNics).map(({ name }) => name))) await collector.run(part);
  await collector.kernelConfig();
  await collector.metrics(metrics);
  return collector.files;
}

/** The main one, then those of tenants.d. */
function configFiles(main: string): string[] {
  const beside = join(dirname(main), "tenants.d");
  const names = existsSync(beside) ? readdirSync(beside).filter((name) => /^[^.].*\.ya?ml$/.test(name)) : [];
  return [main, ...names.sort().map((name) => join(beside, name))];
}

/** How often another key is tried: a stand-in may happen to be an address that there is. */
const attempts = 16;

interface Redacted {
  readonly files: readonly CollectedFile[];
  readonly mapping: Readonly<Record<string, string>>;
}

/** @throws XgwError when something is left */
export function redact(
  collected: readonly CollectedFile[],
  { configFile }: Pick<ReportOptions, "configFile">,
): Redacted {
  const configs = collected.filter(({ file }) => file.startsWith("config/"));
  const names = namesIn({
    configs: new Map([[configFile, ""], ...configs.map(({ command, text }) => [command, text] as const)]),
    links: readLinks(),
    shownLinks: collected.find(({ file }) => file === "network/links.txt")?.text ?? "",
  });
  let left: string[] = [];
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const redactor = new Redactor(names);
    const files = collected.map((one) => redacted(one, redactor));
    left = files.flatMap(({ text, command, said = "" }) =>
      [text, command, said].flatMap((each) => redactor.leaks(each)),
    );
    if (left.length === 0) return { files, mapping: redactor.mapping() };
  }
  throw new XgwError(`${left.length} addresses or names (${left[0]}, …) cannot be replaced, so nothing is written`, {
    remedy: "try again; if it stays, write the report without --redact, and look at it before it is sent",
  });
}

function redacted(one: CollectedFile, redactor: Redactor): CollectedFile {
  const text = redactor.file(one.file.startsWith("config/") ? withoutComments(one.text) : one.text);
  const said = one.said === undefined ? {} : { said: redactor.text(one.said) };
  return { ...one, text, bytes: Buffer.byteLength(text), command: redactor.text(one.command), ...said };
}

function manifestOf(files: readonly CollectedFile[], { version, isRedacted }: ReportOptions): string {
  const entries = files.map(({ text: _, ...entry }): Collected => entry);
  const versions = { xgw: version, node: process.version, libbpf: libraryVersion() };
  const manifest = { made: new Date().toISOString(), versions, redacted: isRedacted, files: entries };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}
