import { describe, expect, it } from "vitest";
import { ranked, screenLines } from "../../../../src/cli/top/screen.js";
import { firstState, type Sort, type State } from "../../../../src/cli/top/state.js";
import type { Top } from "../../../../src/flow/schema.js";
import type { TenantRates, TopTable } from "../../../../src/top/schema.js";

const nothing = { packetsPerSecond: 0, bitsPerSecond: 0 };
const quiet = { xdp: nothing, flowtable: nothing, stack: nothing, droppedPerSecond: 0 };
const row = (name: string, fields: Partial<TenantRates> = {}): TenantRates => ({
  ...{ name, key: 1000, ...quiet, sessions: 0, sessionsLimit: 0, flows: 0, flowsShare: 0 },
  ...fields,
});
const tableOf = (tenants: TenantRates[]): TopTable => ({
  ...{ at: "2026-12-01T03:45:01.120Z", seconds: 2, instance: "gw1", total: quiet, tenants },
  ...{ conntrack: { entries: 1, max: 4 }, flowTable: { used: 0, lines: 8 } },
});
const state = firstState(undefined, "bits");
const size = { columns: 80, rows: 24 };

const order = (sort: Sort, changes: Partial<State> = {}) =>
  ranked(
    [
      row("a", { xdp: { packetsPerSecond: 9, bitsPerSecond: 1 }, key: 77 }),
      row("b", { stack: { packetsPerSecond: 1, bitsPerSecond: 9 }, sessions: 5, droppedPerSecond: 2 }),
      row("c", { flows: 3, droppedPerSecond: 1 }),
    ],
    { ...state, sort, ...changes },
  )
    .map(({ name }) => name)
    .join("");

describe("tenants are ranked", () => {
  it.each([
    ["bits", "bac"],
    ["packets", "abc"],
    ["dropped", "bca"],
    ["sessions", "bac"],
    ["flows", "cab"],
    ["name", "abc"],
  ] as const)("by %s, equal ones by name", (sort, wanted) => expect(order(sort)).toBe(wanted));

  it("the other way round", () => {
    expect(order("name", { isReversed: true })).toBe("cba");
  });

  it("without those whose name and key lack what was typed", () => {
    expect([order("name", { filter: "b" }), order("name", { filter: "77" })]).toEqual(["b", "a"]);
  });
});

describe("a screen", () => {
  const hundred = tableOf(
    Array.from({ length: 100 }, (_, n) => row(`tenant-${String(n).padStart(3, "0")}-${"x".repeat(60)}`)),
  );

  it.each([
    [80, 24],
    [40, 10],
    [200, 60],
    [1, 1],
  ])("fills %i x %i and no more", (columns, rows) => {
    const lines = screenLines(state, hundred, undefined, { columns, rows });
    expect([lines.length, Math.max(...lines.map((line) => line.length)) <= columns]).toEqual([rows, true]);
  });

  it("moves on with the marker", () => {
    const lines = screenLines({ ...state, sort: "name", selected: 99 }, hundred, undefined, size);
    expect(lines.filter((line) => line.startsWith(">"))).toEqual([expect.stringMatching(/^>tenant-099/)]);
  });

  it("keeps the marker on the last row when tenants have gone", () => {
    const lines = screenLines({ ...state, selected: 99 }, tableOf([row("only")]), undefined, size);
    expect(lines.some((line) => line.startsWith(">only"))).toBe(true);
  });

  it("says that the first interval is not over", () => {
    expect(screenLines(state, undefined, undefined, size)[2]).toBe("the first interval is not over");
  });

  it("shows flows with their rule, and by what they are ranked", () => {
    const arrives = {
      source: "255.255.255.255",
      sourcePort: 65_535,
      destination: "255.255.255.254",
      destinationPort: 65_535,
    };
    const rates = { packetsPerSecond: 1200, bitsPerSecond: 9_700_000 };
    const rule = { direction: "outbound", rule: 12 } as const;
    const report: Top = {
      ...{ at: "2026-12-01T03:45:01.120Z", seconds: 2, rest: { flows: 3, ...nothing } },
      flows: [{ tenant: "user1", key: 1000, protocol: "tcp", arrives, leaves: arrives, ...rates, rule }],
    };
    expect(screenLines(firstState("user1", "packets"), undefined, report, size).slice(0, 4)).toEqual([
      "xgw top: flows of user1 in XDP by packets at 03:45:01 UTC, over 2.0 s",
      " PROTO ARRIVES AS                                       bit/s     p/s RULE",
      " tcp   255.255.255.255:65535 > 255.255.255.254:65535     9.7M    1.2k out:12",
      " 3 others                                                   0       0",
    ]);
  });
});
