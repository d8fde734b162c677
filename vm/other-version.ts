/** Another version of xgw beside the built one: the same code, over the programs of bpf/test/other-version.mjs. */

import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The build's folder, seen from dist/vm as well as from vm. */
const dist = fileURLToPath(new URL(import.meta.url.includes("/dist/vm/") ? ".." : "../dist", import.meta.url));

/** @returns the folder whose `src` and `bpf` are the other version's */
export async function makeOtherVersion(): Promise<string> {
  const [from, to] = [join(dist, "src"), join(dist, "other", "src")];
  const files = (await readdir(from, { recursive: true })).filter((name) => name.endsWith(".js"));
  for (const folder of new Set(files.map((file) => dirname(join(to, file))))) await mkdir(folder, { recursive: true });
  for (const file of files) {
    const text = await readFile(join(from, file), "utf8");
    await writeFile(join(to, file), text.replace(/^\/\/# sourceMappingURL.*$/m, ""));
  }
  return join(dist, "other");
}
