// The flow table, used as the programs use it: by one CPU after the other, and by several at once.
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { flowBuckets, flowWays } from "../../src/datapath/flow-table.js";
import { FlowWorkers, type Outcome } from "./support/flow-workers.js";

/** Longer than a flow that is in use goes without asking conntrack, liveness_jiffies = 1024. */
const idle = 5000;

const sum = (outcomes: readonly Outcome[], field: keyof Outcome) =>
  outcomes.reduce((total, outcome) => total + outcome[field], 0);

describe("a table of one bucket", () => {
  const workers = new FlowWorkers(1);
  afterAll(() => workers[Symbol.dispose]());
  beforeEach(() => {
    workers.clear();
    workers.setGeneration(1, 0);
    workers.setGeneration(2, 0);
  });

  it("holds as many flows as it has places", () => {
    expect(workers.run({ order: "insert", flows: flowWays }).inserted).toBe(flowWays);
    expect(workers.run({ order: "lookUp", flows: flowWays }).found).toBe(flowWays);
    expect(workers.faults()).toEqual([]);
  });

  it("refuses one more while all are in use, and loses none", () => {
    workers.run({ order: "insert", flows: flowWays });
    expect(workers.run({ order: "insert", first: 100, flows: 1 })).toMatchObject({ inserted: 0, refused: 1 });
    expect(workers.run({ order: "lookUp", flows: flowWays }).found).toBe(flowWays);
  });

  it("gives up the flow that is idle the longest", () => {
    workers.run({ order: "insert", flows: 30 });
    workers.run({ order: "insert", first: 30, flows: 1, age: idle });
    workers.run({ order: "insert", first: 31, flows: 1, age: idle + 1000 });
    expect(workers.run({ order: "insert", first: 100, flows: 1 }).inserted).toBe(1);
    expect(workers.numbers().sort((a, b) => a - b)).toEqual([...Array(31).keys(), 100]);
    expect(workers.faults()).toEqual([]);
  });

  it("gives up a flow of a tenant that has changed before one that is idle", () => {
    workers.run({ order: "insert", flows: 30, age: idle });
    workers.run({ order: "insert", first: 30, flows: 2, tenant: 2 });
    workers.setGeneration(2, 1);
    expect(workers.run({ order: "insert", first: 100, flows: 2 }).inserted).toBe(2);
    expect(workers.numbers().sort((a, b) => a - b)).toEqual([...Array(30).keys(), 100, 101]);
    expect(workers.faults()).toEqual([]);
  });

  it("replaces a flow that is there, also when it is full", () => {
    workers.run({ order: "insert", flows: flowWays });
    expect(workers.run({ order: "insert", first: 7, flows: 1, version: 2 }).inserted).toBe(1);
    expect(workers.numbers()).toHaveLength(flowWays);
    expect(workers.run({ order: "lookUp", flows: flowWays })).toMatchObject({ found: flowWays, torn: 0 });
  });

  it("forgets a flow that is deleted, once", () => {
    workers.run({ order: "insert", flows: 20 });
    expect(workers.run({ order: "delete", first: 5, flows: 1 })).toMatchObject({ deleted: 1 });
    expect(workers.run({ order: "delete", first: 5, flows: 1 })).toMatchObject({ deleted: 0, missed: 1 });
    expect(workers.run({ order: "lookUp", flows: 20 })).toMatchObject({ found: 19, missed: 1 });
  });

  it("keeps nothing of flows that have gone: a reader looks no farther than before", () => {
    workers.run({ order: "insert", flows: flowWays });
    expect(workers.reaches()).toBeGreaterThan(0);
    workers.run({ order: "delete", flows: flowWays });
    expect([workers.reaches(), workers.numbers()]).toEqual([0, []]);
  });
});

describe("a large table", () => {
  const flows = 100_000;
  const workers = new FlowWorkers(flowBuckets(flows));
  afterAll(() => workers[Symbol.dispose]());
  beforeEach(() => workers.clear());

  it("takes all the flows that it is made for, and finds each", () => {
    expect(workers.run({ order: "insert", flows }).refused).toBe(0);
    expect(workers.run({ order: "lookUp", flows })).toMatchObject({ found: flows, missed: 0, torn: 0 });
    expect(workers.faults()).toEqual([]);
  });

  it("takes flows from several CPUs at once, and finds each", async () => {
    const parts = [0, 1, 2, 3].map((n) => ({ order: "insert", first: n * 20_000, flows: 20_000 }) as const);
    const outcomes = await workers.runAtOnce(parts, 20_000);
    expect([sum(outcomes, "inserted"), sum(outcomes, "refused")]).toEqual([80_000, 0]);
    expect(workers.run({ order: "lookUp", flows: 80_000 })).toMatchObject({ found: 80_000, torn: 0 });
    expect(workers.faults()).toEqual([]);
  });

  it("has a flow once that several CPUs learn at once", async () => {
    const same = { order: "insert", flows: 20_000 } as const;
    await workers.runAtOnce(
      [1, 2, 3, 4].map((version) => ({ ...same, version })),
      20_000,
    );
    expect(workers.numbers()).toHaveLength(20_000);
    expect(workers.run({ order: "lookUp", flows: 20_000 })).toMatchObject({ found: 20_000, torn: 0 });
    expect(workers.faults()).toEqual([]);
  });

  it("deletes each flow once when several CPUs delete it at once", async () => {
    workers.run({ order: "insert", flows: 20_000 });
    const same = { order: "delete", flows: 20_000 } as const;
    const outcomes = await workers.runAtOnce([same, same], 20_000);
    expect([sum(outcomes, "deleted"), workers.numbers(), workers.reaches()]).toEqual([20_000, [], 0]);
  });

  it("keeps what some CPUs read while others add and delete flows around it", async () => {
    workers.run({ order: "insert", first: 1_000_000, flows: 10_000 });
    const [churned, read] = await workers.runAtOnce(
      [
        { order: "churn", flows: 50_000 },
        { order: "lookUp", first: 1_000_000, flows: 10_000 },
      ],
      1_000_000,
    );
    expect(churned).toMatchObject({ refused: 0, torn: 0 });
    expect(read?.torn).toBe(0);
    // A line is no match while it is written; these lines are not.
    expect(read?.missed).toBe(0);
    expect(workers.faults()).toEqual([]);
  });
});

describe("few places and many CPUs", () => {
  for (const [buckets, flows] of [
    [1, 24],
    [1, 200],
    [4, 100],
  ] as const)
    it(`${flows} flows come and go in ${buckets * flowWays} places: no half line is seen, none is there twice`, async () => {
      using workers = new FlowWorkers(buckets);
      const orders = [1n, 2n, 3n].map((random) => ({ order: "churn", flows, random }) as const);
      const outcomes = await workers.runAtOnce(orders, 500_000, 8);
      expect(sum(outcomes, "torn")).toBe(0);
      expect(sum(outcomes, "found")).toBeGreaterThan(0);
      expect(workers.faults()).toEqual([]);
      if (flows < flowWays) expect(sum(outcomes, "refused")).toBe(0);
    });
});
