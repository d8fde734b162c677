// Before `npm pack`: builds, and puts the addon where the package carries it.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const target = `${here}prebuilds/linux-${process.arch}`;
// Not to stdout: that is npm's, which may be writing JSON.
execFileSync("npm", ["run", "build"], { cwd: here, stdio: ["ignore", "ignore", "inherit"] });
mkdirSync(target, { recursive: true });
copyFileSync(`${here}build/Release/libbpf_ts.node`, `${target}/libbpf_ts.node`);
execFileSync("strip", ["--strip-unneeded", `${target}/libbpf_ts.node`]);
