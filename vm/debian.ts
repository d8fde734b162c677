// npm run test:debian: what README says of Debian 12 and 13, tried: each release bare, a clone, and `npm test` in it.
import "./path.js";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { debianUsage, parseDebianArgs, type Release } from "./debian-args.js";
import { cacheDir, repoRoot } from "./root.js";
import { UsageError } from "./usage.js";

const mirror = process.env.XGW_DEBIAN_MIRROR ?? "http://deb.debian.org/debian";
const script = (name: string) => join(repoRoot, "vm", "debian", name);

/** @returns its exit status */
async function run(command: string, ...args: string[]): Promise<number> {
  const child = spawn(command, args, { stdio: "inherit" });
  const [code] = (await once(child, "close")) as [number | null];
  return code ?? 1;
}

/** @returns the exit status of `npm test` */
async function testOn(release: Release, args: readonly string[]): Promise<number> {
  const folder = join(cacheDir(), "debian");
  await mkdir(folder, { recursive: true });
  const base = join(folder, release);
  if ((await run("sh", script("base.sh"), release, base, mirror)) !== 0)
    throw new Error(`Debian ${release} could not be made in ${base}`);
  const own = await mkdtemp(`${base}.run-`);
  try {
    const inside = ["sh", script("test.sh"), base, own, repoRoot, cacheDir(), ...args];
    return await run("unshare", "--mount", "--propagation", "private", "--", ...inside);
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}

async function main(argv: readonly string[]): Promise<number> {
  const { help, releases, args } = parseDebianArgs(argv);
  if (help) {
    process.stdout.write(debianUsage);
    return 0;
  }
  for (const release of releases) {
    process.stdout.write(`debian: ${release}\n`);
    const status = await testOn(release, args);
    process.stdout.write(`debian: npm test on ${release} ended with status ${status}\n`);
    if (status !== 0) return status;
  }
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(error instanceof UsageError ? `${error.message}\n\n${debianUsage}` : `debian: ${error}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
