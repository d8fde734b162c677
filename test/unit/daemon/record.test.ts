// What the daemon says of itself.
import { describe, expect, it } from "vitest";
import { DaemonRecord } from "../../../src/daemon/record.js";
import { ConfigError, XgwError } from "../../../src/errors.js";

const problem = { file: "xgw.yaml", line: 3, column: 5, path: "nics", message: "is wrong", remedy: "mend it" };

describe("the daemon's record", () => {
  it("begins with a good config and nothing repaired", () => {
    expect(new DaemonRecord().report()).toMatchObject({
      pid: process.pid,
      config: { state: "good", problems: [] },
      drifts: 0,
      repairs: {},
    });
  });

  it("says where and why a config was refused, and keeps since when the old one is in force", () => {
    const record = new DaemonRecord();
    const { inForceSince } = record.report().config;
    record.refused(new ConfigError([problem]));
    expect(record.report().config).toMatchObject({
      state: "bad",
      inForceSince,
      problems: ["xgw.yaml:3:5: nics: is wrong; mend it"],
    });
  });

  it("says why a config could not be carried out", () => {
    const record = new DaemonRecord();
    record.refused(new XgwError("there is no device eth9", { remedy: "make it" }));
    expect(record.report().config.problems).toEqual(["there is no device eth9; make it"]);
  });

  it("is good again with the next config that is applied", () => {
    const record = new DaemonRecord();
    record.refused(new ConfigError([problem]));
    record.applied();
    expect(record.report().config).toMatchObject({ state: "good", problems: [] });
  });

  it("counts repairs by the kind of thing, without what follows from them", () => {
    const record = new DaemonRecord();
    record.repaired([
      { kind: "element.delete", element: { set: "zones", key: "a", value: "1" } },
      { kind: "element.set", element: { set: "zones", key: "a", value: "1" }, was: undefined },
      { kind: "map.pin", map: "flows" },
      { kind: "generation.bump", tenant: 1 },
    ]);
    record.repaired([{ kind: "map.pin", map: "peers" }]);
    expect(record.report()).toMatchObject({ drifts: 2, repairs: { element: 2, map: 2 } });
  });
});

it("the daemon's record counts what had to wait, and what was forgotten, by who caused it", () => {
  const record = new DaemonRecord();
  for (const tenant of ["one", "", "one"]) record.redecisionPutOff(tenant);
  record.checkPutOff();
  record.notificationsLost();
  record.neighbourForgotten("two");
  expect(record.report()).toMatchObject({
    putOff: { redecisions: { one: 2, "": 1 }, checks: 1 },
    notificationsLost: 1,
    neighboursForgotten: { two: 1 },
  });
});

it("a config with thousands of mistakes is told in short", () => {
  const record = new DaemonRecord();
  record.refused(new ConfigError(Array.from({ length: 5000 }, () => ({ ...problem, message: "x".repeat(5000) }))));
  const { problems } = record.report().config;
  expect(problems).toHaveLength(101);
  expect(problems.at(-1)).toBe("and 4900 more: see xgw validate");
  expect(JSON.stringify(record.report()).length).toBeLessThan(200_000);
});

it("the daemon's record has how long configs and repairs took, in seconds", () => {
  const record = new DaemonRecord();
  record.took("repair", 250);
  record.took("repair", 1250);
  const { repair, reconcile } = record.report().durations;
  expect([repair.count, repair.sum, reconcile.count]).toEqual([2, 1.5, 0]);
});
