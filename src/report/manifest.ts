/** What a report says of itself: of each part how it was had, and whether it is whole. */

import { libbpfVersion } from "libbpf-ts";
import { packageVersion } from "../version.js";
import type { Collected } from "./collect.js";
import type { Redactor } from "./redact.js";
import type { Manifest, ManifestPart } from "./schema.js";

/** A file of the archive. */
export interface ReportFile {
  readonly path: string;
  readonly text: string;
}

export interface Report {
  readonly files: readonly ReportFile[];
  readonly manifest: Manifest;
}

/** @param redactor none: everything as it was collected */
export function makeReport(collected: readonly Collected[], redactor?: Redactor): Report {
  const word = (text: string) => redactor?.text(text) ?? text;
  const files: ReportFile[] = [];
  const parts: ManifestPart[] = [];
  for (const one of collected) {
    const text = redactor ? redactor.file(one) : one.text;
    const path = word(one.part.file);
    if (text) files.push({ path, text });
    const error = one.error ?? (text === undefined ? "left out: what is no YAML cannot be redacted" : undefined);
    parts.push({
      ...(text ? { file: path } : {}),
      source: word(one.source),
      ...(one.exitCode === undefined ? {} : { exitCode: one.exitCode }),
      milliseconds: one.milliseconds,
      bytes: Buffer.byteLength(text ?? ""),
      truncated: one.truncated,
      ...(error === undefined ? {} : { error: word(error) }),
      ...(one.stderr === undefined ? {} : { stderr: word(one.stderr) }),
    });
  }
  const manifest: Manifest = {
    format: 1,
    xgw: packageVersion(),
    node: process.version,
    libbpf: libbpfVersion(),
    createdAt: new Date().toISOString(),
    redacted: redactor !== undefined,
    parts,
  };
  return { files: [...files, { path: "manifest.json", text: `${JSON.stringify(manifest, null, 2)}\n` }], manifest };
}
