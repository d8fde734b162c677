/** Seeds that once failed, each with the packet that did; every run of the suite has them. */

import type { SeedOptions } from "./run.js";

export interface KeptSeed extends SeedOptions {
  /** What differed, and what was mended. */
  readonly why: string;
}

export const keptSeeds: readonly KeptSeed[] = [];
