import { homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const folder = dirname(fileURLToPath(import.meta.url));

/** The checkout: this file is <root>/dist/vm/root.js once compiled, and <root>/vm/root.ts where a test imports it. */
export const repoRoot: string = resolve(folder, basename(dirname(folder)) === "dist" ? "../.." : "..");

/** A built file, by its path in dist. */
export const built = (path: string): string => join(repoRoot, "dist", path);

/** Kernels, initramfs images and probe results; everything in it can be fetched or made again. */
export function cacheDir(): string {
  const { XGW_CACHE, XDG_CACHE_HOME } = process.env;
  return XGW_CACHE ? resolve(XGW_CACHE) : join(XDG_CACHE_HOME || join(homedir(), ".cache"), "xgw");
}
