/**
 * A folder for the front of PATH in which nft and ip fail at one of their changes, once, and else are what they are.
 * An `ip -batch` that fails has done its first line.
 */

import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./netns.js";

const changing = { nft: "-f -", ip: "-batch -" } as const;
export type Tool = keyof typeof changing;
export const tools = Object.keys(changing) as Tool[];

export async function makeFailingTools(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const tool of tools) {
    const real = (await run("sh", ["-c", `command -v ${tool}`])).trim();
    const part = tool === "ip" ? `head -n 1 | ${real} -batch -; ` : "";
    const script = `#!/bin/sh
left=${folder}/${tool}.left
case "$*" in "${changing[tool]}")
  n=$(cat $left 2>/dev/null || echo 0)
  echo $((n - 1)) >$left
  if [ "$n" = 1 ]; then ${part}echo "failed on purpose" >&2; exit 1; fi ;;
esac
exec ${real} "$@"
`;
    await writeFile(join(folder, tool), script);
    await chmod(join(folder, tool), 0o755);
  }
}

/** The tool's n-th change from now on fails; 0: none does. */
export async function failAt(folder: string, tool: Tool, n: number): Promise<void> {
  await writeFile(join(folder, `${tool}.left`), `${n}\n`);
}
