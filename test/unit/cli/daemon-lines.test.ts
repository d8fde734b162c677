// What `xgw status` says of the daemon, in words.
import { expect, it } from "vitest";
import { daemonLines } from "../../../src/cli/commands/status.js";
import { DaemonRecord } from "../../../src/daemon/record.js";
import type { DaemonReport } from "../../../src/daemon-socket.js";

it("who causes so much work that it waits is named", () => {
  const record = new DaemonRecord();
  for (const tenant of ["one", "one", ""]) record.redecisionPutOff(tenant);
  record.checkPutOff();
  expect(daemonLines(record.report())[1]).toMatch(/: one 2, the underlay 1, comparisons 1$/);
});

it("nothing is said of it when nothing waited", () => {
  expect(daemonLines(new DaemonRecord().report()).length).toBe(1);
});

it("a daemon of a version that does not tell is understood", () => {
  const { putOff: _, ...older } = new DaemonRecord().report();
  expect(daemonLines(older as DaemonReport).length).toBe(1);
});
