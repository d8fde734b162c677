import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";

/** The files of the named modules and of all that they depend on, in the order in which they can be inserted. */
export async function moduleFiles(modules: string, names: readonly string[]): Promise<string[]> {
  const dependencies = new Map<string, { file: string; needs: string[] }>();
  for (const line of (await readFile(join(modules, "modules.dep"), "utf8")).split("\n")) {
    const [file, rest] = line.split(":");
    if (file && rest !== undefined)
      dependencies.set(moduleName(file), { file, needs: rest.split(" ").filter(Boolean) });
  }
  const builtin = new Set((await readFile(join(modules, "modules.builtin"), "utf8")).split("\n").map(moduleName));
  const ordered = new Set<string>();
  const visit = (name: string): void => {
    const module = dependencies.get(name);
    if (!module) {
      if (builtin.has(name)) return;
      throw new Error(`the kernel in ${modules} has no module ${name}`);
    }
    for (const file of module.needs) visit(moduleName(file));
    ordered.add(join(modules, module.file));
  };
  for (const name of names) visit(name);
  return [...ordered];
}

export function moduleName(file: string): string {
  return basename(file)
    .replace(/\.ko(\.\w+)?$/, "")
    .replaceAll("-", "_");
}
