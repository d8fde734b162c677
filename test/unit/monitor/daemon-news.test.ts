import { expect, it } from "vitest";
import type { DaemonReport } from "../../../src/daemon-socket.js";
import { daemonNews } from "../../../src/monitor/daemon-news.js";

const time = "2026-12-01T00:00:00.000Z";
const report: DaemonReport = {
  ...{ pid: 7, instance: "gw1", startedAt: time, drifts: 0, repairs: { route: 1 }, repairFailures: 0, redecisions: 0 },
  config: { state: "good", since: time, inForceSince: time, problems: [] },
  ...{
    putOff: { redecisions: {}, checks: 0 },
    notificationsLost: 0,
    inTheWay: 0,
    findings: [],
    neighboursForgotten: {},
  },
};
const news = (changes: Partial<DaemonReport>) => daemonNews(report, { ...report, ...changes });

it("nothing has happened between two equal reports", () => {
  expect(news({})).toEqual([]);
});

it("a config is applied", () => {
  const config = { ...report.config, inForceSince: "2026-12-01T00:00:01.000Z" };
  expect(news({ config })).toEqual([{ kind: "config", what: "a config is applied" }]);
});

it("a config is refused, with what is wrong", () => {
  const config = { ...report.config, state: "bad", problems: ["xgw.yaml:3: no"] } as const;
  expect(news({ config })).toEqual([{ kind: "config", what: "the config is refused", details: ["xgw.yaml:3: no"] }]);
});

it("drift is put right, with the steps that it took", () => {
  expect(news({ drifts: 1, repairs: { route: 3, device: 1 } })).toEqual([
    { kind: "repair", what: "something was changed, and is put right", details: ["route: 2 steps", "device: 1 step"] },
  ]);
});

it("flows are decided anew", () => {
  expect(news({ redecisions: 1 }).map(({ kind }) => kind)).toEqual(["redecide"]);
});

it("a daemon comes, goes, and is followed by another", () => {
  const said = [
    daemonNews(undefined, report),
    daemonNews(report, undefined),
    daemonNews(report, { ...report, pid: 8 }),
    daemonNews(undefined, undefined),
  ];
  expect(said.map((all) => all.map(({ kind }) => kind))).toEqual([["daemon"], ["daemon"], ["daemon"], []]);
});
