// A few random edits with failures in the way; `npm run test:walk` makes as many as you like, with runs that are killed, too.
import { expect, it } from "vitest";
import type { WalkReport } from "../../../vm/walk.js";
import { reportOf } from "../support/report.js";

it.each([
  ["27", "4", 0, "a device that goes and must come back with its settings, for ip fails half-way"],
  ["3", "5", 1, "a tunnel that becomes one of another kind without a look at the others"],
])(
  "after each random edit the kernel is what the config says, and after a failure what it was: seed %s, %s edits, %s of them quick, with %s",
  async (seed, edits, quick) => {
    const report = await reportOf<WalkReport>("walk", "--seed", seed, "--edits", edits);
    expect(report.faults).toEqual([]);
    expect(Object.keys(report.failures), "what was in the way").not.toEqual([]);
    expect(report.quick, "edits without a look at the others").toBeGreaterThanOrEqual(quick);
  },
);
