// What is in the way is said when it comes and when it goes, and counted.
import { expect, it } from "vitest";
import { InTheWay } from "../../../src/daemon/in-the-way.js";

it("says what has come and what has gone, once each, and how many there are", () => {
  const said: string[] = [];
  const counts: number[] = [];
  const say = (level: string) => (fields: object, message: string) =>
    void said.push(`${level} ${message}: ${(fields as { problem: string }).problem}`);
  const log = { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
  const inTheWay = new InTheWay(log, (count) => counts.push(count));
  for (const problems of [[], ["a rule"], ["a rule"], undefined, ["a rule", "a limit"], ["a limit"]])
    inTheWay.seen(problems);
  expect(said).toEqual([
    "warn something is in the way: a rule",
    "warn something is in the way: a limit",
    "info no longer in the way: a rule",
  ]);
  expect(counts).toEqual([0, 1, 1, 2, 1]);
});
