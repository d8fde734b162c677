import { expect, it } from "vitest";
import { fullCheckDelay } from "../../../src/daemon/drift-watch.js";

it("a small gateway is compared with the kernel every minute", () => expect(fullCheckDelay(80)).toBe(60_000));

it("a large one so seldom that it takes 2 % of the time", () => {
  const tookMs = 5000;
  expect(tookMs / (tookMs + fullCheckDelay(tookMs))).toBe(0.02);
});
