/** Seeds that once failed; every run of the suite has them. */

import type { SeedOptions } from "./run.js";

export interface KeptSeed extends SeedOptions {
  /** What went wrong, and what was mended. */
  readonly why: string;
}

export const keptSeeds: readonly KeptSeed[] = [];
