import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout. */
export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** What the set-up itself keeps: logs, stamps, its lock. */
export const stateDir = join(root, "dist", ".setup");
