// The flow table, used as the programs use it: by one CPU after the other, and by several at once.
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { flowBuckets, flowWays } from "../../src/datapath/flow-table.js";
import { FlowWorkers, type Outcome, tcpTimeoutJiffies } from "./support/flow-workers.js";

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

  it("gives up a flow that is dead by its age before any other, whoever asks", () => {
    workers.setShare(0, 8);
    workers.run({ order: "insert", flows: 31, tenant: 2, age: idle });
    workers.run({ order: "insert", first: 31, flows: 1, tenant: 3, age: tcpTimeoutJiffies + 1 });
    expect(workers.run({ order: "insert", first: 100, flows: 1, tenant: 1 }).inserted).toBe(1);
    expect([workers.numbersOf(3), workers.usage(3).evicted, workers.usage(2).evicted]).toEqual([[], 0, 0]);
    expect(workers.faults()).toEqual([]);
  });

  it("takes no flow for dead that another CPU has seen a moment later than its own clock says", () => {
    workers.setShare(0, flowWays);
    workers.run({ order: "insert", flows: flowWays - 1, tenant: 2 });
    workers.run({ order: "insert", first: flowWays - 1, flows: 1, tenant: 2, age: -50 });
    expect(workers.run({ order: "insert", first: 100, flows: 1, tenant: 1 }).inserted).toBe(0);
    expect(workers.numbersOf(2)).toHaveLength(flowWays);
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

describe("a full bucket that tenants share", () => {
  const workers = new FlowWorkers(1);
  afterAll(() => workers[Symbol.dispose]());
  beforeEach(() => {
    workers.clear();
    workers.setShare(0, 16);
  });

  /** Tenant 1 has 8 flows, tenant 2 has 24, all just used or all idle. */
  function fill(age = 0): void {
    workers.run({ order: "insert", flows: 8, tenant: 1, age });
    workers.run({ order: "insert", first: 8, flows: 24, tenant: 2, age });
  }

  it("is that of who comes first, as long as nobody else wants it", () => {
    expect(workers.run({ order: "insert", flows: flowWays, tenant: 2 }).inserted).toBe(flowWays);
    expect(workers.usage(2)).toEqual({ lines: flowWays, evicted: 0, refused: 0 });
  });

  it("has room for a tenant within its share, at the cost of one over it, though its flows are in use", () => {
    fill();
    expect(workers.run({ order: "insert", first: 100, flows: 8, tenant: 1 })).toMatchObject({ inserted: 8 });
    expect([workers.usage(1), workers.usage(2)]).toEqual([
      { lines: 16, evicted: 0, refused: 0 },
      { lines: 16, evicted: 8, refused: 0 },
    ]);
    expect(workers.faults()).toEqual([]);
  });

  it("takes the flow that is idle the longest from a tenant over its share", () => {
    fill();
    workers.run({ order: "insert", first: 20, flows: 1, tenant: 2, age: 500 });
    workers.run({ order: "insert", first: 100, flows: 1, tenant: 1 });
    expect(workers.numbersOf(2)).not.toContain(20);
  });

  it("takes nothing from a tenant within its share, however idle its flows are: who is over it gives its own", () => {
    fill(idle);
    expect(workers.run({ order: "insert", first: 100, flows: 10, tenant: 2 }).inserted).toBe(10);
    expect(workers.numbersOf(1)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(workers.usage(2)).toMatchObject({ lines: 24, evicted: 10 });
  });

  it("refuses a tenant over its share while its own flows are in use, and counts that", () => {
    fill();
    expect(workers.run({ order: "insert", first: 100, flows: 5, tenant: 2 })).toMatchObject({ refused: 5 });
    expect([workers.usage(2).refused, workers.usage(1).evicted]).toEqual([5, 0]);
  });

  it("takes nothing from another tenant within its share for one that is within its own", () => {
    workers.setShare(0, 24);
    fill(idle);
    expect(workers.run({ order: "insert", first: 100, flows: 9, tenant: 1 })).toMatchObject({
      inserted: 8,
      refused: 1,
    });
    expect([workers.usage(1).lines, workers.usage(2)]).toEqual([8, { lines: 24, evicted: 0, refused: 0 }]);
  });

  it("goes by a tenant's own number where it has one", () => {
    workers.setShare(2, 24);
    fill();
    expect(workers.run({ order: "insert", first: 100, flows: 1, tenant: 1 })).toMatchObject({ refused: 1 });
  });

  it("counts a line for the tenant that has it now, when its key has come to another one", () => {
    fill();
    workers.run({ order: "insert", first: 8, flows: 4, tenant: 1, version: 2 });
    expect([workers.usage(1), workers.usage(2)]).toMatchObject([
      { lines: 12, evicted: 0 },
      { lines: 20, evicted: 0 },
    ]);
    expect(workers.faults()).toEqual([]);
  });
});

describe("a table that one tenant floods with 400,000 flows", () => {
  const flows = 131_072;
  const [victim, hostile] = [1, 2];
  const own = 10_000;
  const workers = new FlowWorkers(flowBuckets(flows));
  afterAll(() => workers[Symbol.dispose]());
  beforeEach(() => {
    workers.clear();
    workers.setShare(0, flows / 2);
  });
  const flood = () => workers.run({ order: "insert", first: 1_000_000, flows: 400_000, tenant: hostile });

  it("keeps all flows of the other, and takes all that are new", () => {
    workers.run({ order: "insert", flows: own, tenant: victim, age: 1500 });
    flood();
    expect(workers.usage(victim)).toEqual({ lines: own, evicted: 0, refused: 0 });
    expect(workers.run({ order: "insert", first: own, flows: own, tenant: victim }).refused).toBe(0);
    expect(workers.run({ order: "lookUp", flows: 2 * own }).found).toBe(2 * own);
    expect(workers.usage(hostile).refused).toBeGreaterThan(0);
    expect(workers.faults()).toEqual([]);
  });

  it("lets the other use its whole share afterwards", () => {
    flood();
    expect(workers.run({ order: "insert", flows: flows / 2, tenant: victim }).refused).toBe(0);
    expect(workers.run({ order: "lookUp", flows: flows / 2 }).found).toBe(flows / 2);
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
