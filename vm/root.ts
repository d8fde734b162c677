import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout: this file is <root>/dist/vm/root.js once compiled. */
export const repoRoot: string = resolve(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** Kernels, initramfs images and probe results; everything in it can be fetched or made again. */
export function cacheDir(): string {
  const { XGW_CACHE, XDG_CACHE_HOME } = process.env;
  return XGW_CACHE ? resolve(XGW_CACHE) : join(XDG_CACHE_HOME || join(homedir(), ".cache"), "xgw");
}
