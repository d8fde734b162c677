/** What an exit code says, unless a command has a meaning of its own for it. */

import type { ExitCode } from "../errors.js";

export const exitMeanings: readonly (readonly [code: ExitCode, meaning: string])[] = [
  [0, "done"],
  [1, "failed"],
  [2, "usage or config"],
  [3, "the kernel or NIC cannot"],
  [4, "permission"],
  [5, "a foreign object is in the way"],
];
