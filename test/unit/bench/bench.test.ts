// The benchmark's arithmetic: what it makes of figures, and which of them it calls slower.
import { describe, expect, it } from "vitest";
import { parseBenchArgs, UsageError } from "../../../bench/args.js";
import { compare, formatChanges } from "../../../bench/compare.js";
import { faultOf, frame } from "../../../bench/frame.js";
import { gatesOf, isMet } from "../../../bench/gates.js";
import type { Result } from "../../../bench/measure.js";
import { names } from "../../../bench/names.js";
import type { Results } from "../../../bench/results.js";
import { type Figure, runSection } from "../../../bench/section.js";
import { spreadOf } from "../../../bench/stats.js";
import { figureNames, figuresOf, gatesOf as vmGates } from "../../../bench/vm/figures.js";
import { besideAt, seriesNames, sizes, tenantsAt } from "../../../bench/vm/shape.js";

function result(name: string, flows: number, ns: number): Result {
  const spread = spreadOf([ns, ns + 1, ns + 2]);
  return { name, flows, least: ns, net: spread, total: spread, baseline: spread };
}

const ratio = { batchUpdate: 3, batchRead: 3, batchDelete: 3, get: 3, set: 3 };
const run = (...programs: Result[]) => ({ programs, bindings: { ratio } }) as unknown as Results;

describe("a spread", () => {
  it("has its quartiles between the ranks", () => {
    expect(spreadOf([5, 1, 3, 2])).toEqual({ min: 1, q1: 1.75, median: 2.5, q3: 3.5, max: 5, rounds: 4 });
  });
});

describe("a comparison", () => {
  const verdict = (name: string, before: number, after: number) =>
    compare(run(result(name, 1, before)), run(result(name, 1, after)))[0]?.verdict;

  it("flags what got slower", () => {
    expect(verdict(names.miss, 50, 60)).toBe("slower");
    expect(formatChanges(compare(run(result(names.miss, 1, 50)), run(result(names.miss, 1, 60))))).toContain("SLOWER");
  });

  it("tells what got faster", () => {
    expect(verdict(names.miss, 60, 50)).toBe("faster");
  });

  it("lets a few nanoseconds be", () => {
    expect([verdict(names.miss, 10, 12), verdict(names.miss, 100, 108)]).toEqual(["same", "same"]);
  });

  it("judges no yardstick: there the machine has changed", () => {
    expect(verdict(names.line, 100, 200)).toBe("yardstick");
  });

  it("leaves out what only one of the two has", () => {
    expect(compare(run(result(names.miss, 1, 1)), run(result(names.miss, 65_536, 1)))).toEqual([]);
  });
});

describe("a comparison of sections", () => {
  const figure = (value: number, better: Figure["better"], spread = spreadOf([value])) => ({
    sections: { live: { ...section, figures: [{ name: "rate", at: "1 flow", value, unit: "/s", better, spread }] } },
  });
  const section = { title: "Live", seconds: 1, text: [], gates: [], plots: {} };
  const verdict = (before: object, after: object) =>
    compare({ ...run(), ...before } as Results, { ...run(), ...after } as Results)[0]?.verdict;

  it("knows whether more is better", () => {
    expect([
      verdict(figure(100, "more"), figure(50, "more")),
      verdict(figure(100, "less"), figure(50, "less")),
      verdict(figure(100, "neither"), figure(50, "neither")),
    ]).toEqual(["slower", "faster", "yardstick"]);
  });

  it("lets be what the rounds of both runs have seen", () => {
    const wide = spreadOf([40, 60, 100, 120]);
    expect(verdict(figure(100, "more", wide), figure(50, "more", wide))).toBe("same");
  });

  it("leaves out a section that failed", () => {
    const failed = { sections: { live: { title: "Live", failed: "no devices" } } };
    expect(compare({ ...run(), ...failed } as Results, { ...run(), ...figure(1, "more") } as Results)).toEqual([]);
  });
});

describe("the guest's times", () => {
  const series = [
    { name: seriesNames.xdp, at: sizes.small, times: [10, 12] },
    { name: seriesNames.flowtable, at: sizes.small, times: [36, 30] },
    { name: seriesNames.xdp, at: besideAt(4000), times: [10, 10] },
    { name: seriesNames.xdp, at: tenantsAt(4000), times: [11, 12] },
  ];
  const results = { kernel: "", series, births: [{ packets: 3, ms: 1 }], applySeconds: {} };
  const figures = figuresOf(results, [1, 4000], [1]);
  const figure = (name: string, at: string) => figures.find((one) => one.name === name && one.at === at);

  it("become ratios of the least, with the spread of the rounds' ratios", () => {
    const ratio = figure(figureNames.flowtable, sizes.small);
    expect([ratio?.value, ratio?.spread?.min, ratio?.spread?.max]).toEqual([3, 2.5, 3.6]);
  });

  it("of many tenants are compared with one tenant in the same rounds", () => {
    expect(figure(figureNames.hot, tenantsAt(4000))?.value).toBe(1.1);
  });

  it("that are not there make no figure, and a gate that is not met", () => {
    expect(figure(figureNames.slow, tenantsAt(4000))).toBeUndefined();
    expect(vmGates(figures).map((gate) => isMet(gate))).toEqual([true, true, false]);
  });
});

describe("a section", () => {
  it("that fails leaves its reason, and the others' figures", async () => {
    const broken = { id: "x", title: "Broken", run: () => Promise.reject(new Error("no such kernel")) };
    const said: string[] = [];
    const report = await runSection(broken, { effort: "quick", say: (line) => said.push(line) });
    expect(report).toEqual({ title: "Broken", failed: "no such kernel" });
    expect(said[0]).toContain("no such kernel");
  });
});

describe("gates", () => {
  it("may want a least", () => {
    const gate = { name: "", unit: "×", wanted: 2, atLeast: true };
    expect([2, 1.9].map((measured) => isMet({ ...gate, measured }))).toEqual([true, false]);
  });

  it("are met by what is as fast as wanted, and not by what was not measured", () => {
    const gates = gatesOf(run(result(names.establishedTcp, 1, 40)));
    expect(gates.map((gate) => isMet(gate))).toEqual([true, ...Array(gates.length - 1).fill(false)]);
  });
});

describe("a frame", () => {
  it("that was not rewritten is found out", () => {
    expect(faultOf(frame({ wrap: "gretap", protocol: "tcp" }), "gretap", "tcp", 0, 1000)).toBe("outer headers");
  });
});

describe("arguments", () => {
  it("are a quick run's", () => {
    expect(parseBenchArgs(["--quick", "--output", "x.json"])).toMatchObject({ quick: true, output: "x.json" });
  });

  it("compare two files and no fewer", () => {
    expect(parseBenchArgs(["--compare", "a", "b"]).compare).toEqual(["a", "b"]);
    expect(() => parseBenchArgs(["--compare", "a"])).toThrow(UsageError);
  });

  it("name the parts that there are", () => {
    expect(parseBenchArgs(["--only", "programs,sizes"]).only).toEqual(["programs", "sizes"]);
    expect(() => parseBenchArgs(["--only", "speed"])).toThrow(/the parts are programs, /);
  });

  it("that nobody knows are refused", () => {
    expect(() => parseBenchArgs(["--fast"])).toThrow(UsageError);
  });
});
