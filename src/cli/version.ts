/** Of xgw itself. */

import { existsSync, readFileSync } from "node:fs";

/** From the package.json above this file, wherever the build put it. */
export function packageVersion(): string {
  for (let directory = new URL(".", import.meta.url); ; directory = new URL("..", directory)) {
    const file = new URL("package.json", directory);
    if (existsSync(file)) return String((JSON.parse(readFileSync(file, "utf8")) as { version?: string }).version);
    if (directory.pathname === "/") return "unknown";
  }
}
