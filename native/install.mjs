// After an installation from the registry or a tarball: takes the prebuilt addon if it loads, builds it if not. In a checkout
// (where the TypeScript is) it does nothing: there `npm run build` does it.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const prebuilt = `${here}prebuilds/linux-${process.arch}/libbpf_ts.node`;

function loads(path) {
  try {
    createRequire(import.meta.url)(path);
    return true;
  } catch {
    return false;
  }
}

if (!existsSync(`${here}lib`) && !loads(prebuilt)) {
  console.log(
    "libbpf-ts: no prebuilt addon fits this machine, building it (needs cmake, g++, libbpf-dev >= 1.4, libelf-dev)",
  );
  execFileSync("npx", ["cmake-js", "build"], { cwd: here, stdio: "inherit" });
}
