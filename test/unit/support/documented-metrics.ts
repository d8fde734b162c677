/** The table of metrics in docs/daemon.md. */

import { readFileSync } from "node:fs";

const quoted = (cell = ""): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, word = ""]) => word);

/** Each metric's labels. */
export function documentedMetrics(): Map<string, readonly string[]> {
  const docs = readFileSync(new URL("../../../docs/daemon.md", import.meta.url), "utf8");
  const rows = docs.split("\n").filter((line) => /^\| `xgw_/.test(line));
  return new Map(
    rows.flatMap((row) => {
      const [, names, labels] = row.split(" | ", 3).join(" | ").split("|");
      return quoted(names).map((name) => [name, quoted(labels)] as const);
    }),
  );
}
