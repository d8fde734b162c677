/** Writes a report as a .tar.gz that is there whole or not at all, for its owner's eyes. Needs room beside it, and nowhere else. */

import { chmodSync, existsSync, linkSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { XgwError } from "../errors.js";
import { run } from "../kernel/spawn.js";
import type { ReportFile } from "./manifest.js";

/** The folder that everything is in. */
const root = "xgw-report";

/** @throws XgwError when it cannot be written there; a file that there is stays as it is */
export function checkTarget(file: string): void {
  if (existsSync(file)) throw alreadyThere(file);
  const directory = dirname(file);
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory())
    throw new XgwError(`there is no directory ${directory}`, { remedy: "make it, or name a file elsewhere" });
}

/** @throws as `checkTarget` does */
export async function writeArchive(file: string, files: readonly ReportFile[]): Promise<void> {
  const directory = dirname(file);
  try {
    const stage = mkdtempSync(join(directory, ".xgw-report-")); // with mode 0700
    try {
      const archive = await pack(stage, files);
      chmodSync(archive, 0o600);
      linkSync(archive, file); // unlike a rename, it takes no other's place
    } finally {
      rmSync(stage, { recursive: true, force: true });
    }
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException;
    if (code === "EEXIST") throw alreadyThere(file);
    throw new XgwError(`the report cannot be written to ${file}: ${message}`, {
      cause: thrown,
      remedy: `see that there is room in ${directory} and that it may be written to, or name a file elsewhere`,
    });
  }
}

async function pack(stage: string, files: readonly ReportFile[]): Promise<string> {
  for (const { path, text } of files) {
    const target = join(stage, root, path);
    mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
    writeFileSync(target, text, { mode: 0o600 });
  }
  const archive = join(stage, "report.tar.gz");
  const owners = ["--owner=root:0", "--group=root:0"];
  await run("tar", ["--create", "--gzip", "--sort=name", ...owners, `--file=${archive}`, `--directory=${stage}`, root]);
  return archive;
}

const alreadyThere = (file: string): XgwError =>
  new XgwError(`${file} is there already`, { remedy: "name another file, or remove it" });
