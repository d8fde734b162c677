/** The version of xgw, from the package.json above this file, wherever the build put it. */

import { existsSync, readFileSync } from "node:fs";

export function packageVersion(): string {
  for (let directory = new URL(".", import.meta.url); ; directory = new URL("..", directory)) {
    const file = new URL("package.json", directory);
    if (existsSync(file)) return String((JSON.parse(readFileSync(file, "utf8")) as { version?: string }).version);
    if (directory.pathname === "/") return "unknown";
  }
}
