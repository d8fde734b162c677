import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, stateDir } from "./paths.mjs";

const generated = new Set(["node_modules", "build", "dist", ".git"]);

/** One number for the content of files and directories (relative to the checkout) and for some words. */
export function contentHash(paths, words = []) {
  const hash = createHash("sha256");
  for (const word of [process.version, process.arch, ...words]) hash.update(`${word}\0`);
  for (const path of paths) addPath(hash, path);
  return hash.digest("hex");
}

export function readStamp(name) {
  try {
    return readFileSync(join(stateDir, `${name}.stamp`), "utf8");
  } catch {
    return "";
  }
}

export function writeStamp(name, text) {
  mkdirSync(stateDir, { recursive: true });
  writeFileSync(join(stateDir, `${name}.stamp`), text);
}

function addPath(hash, path) {
  let entries;
  try {
    entries = readdirSync(join(root, path), { withFileTypes: true });
  } catch (error) {
    if (error.code === "ENOENT") return;
    if (error.code !== "ENOTDIR") throw error;
    hash.update(`${path}\0`).update(readFileSync(join(root, path)));
    return;
  }
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    if (generated.has(entry.name)) continue;
    if (entry.isDirectory() || entry.isFile()) addPath(hash, join(path, entry.name));
  }
}
