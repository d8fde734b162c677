// Prometheus' text format, as its parsers want it.
import { expect, it } from "vitest";
import { Exposition } from "../../src/exposition.js";
import { noDurations, withDuration } from "../../src/histogram.js";
import { atOnce, inSlices, type Reading } from "../../src/slices.js";

const textOf = (exposition: Exposition) => Buffer.concat(exposition.pieces()).toString();

it("a family has its help, its type and a line for each series", () => {
  const exposition = new Exposition();
  const packets = exposition.counter("xgw_packets_total", "Packets.");
  packets({ tenant: "a", tier: "xdp" }, 12);
  packets({ tenant: "b", tier: "xdp" }, 2 ** 53);
  exposition.gauge("xgw_up", "Up.")({}, 1);
  expect(textOf(exposition)).toBe(
    [
      "# HELP xgw_packets_total Packets.",
      "# TYPE xgw_packets_total counter",
      'xgw_packets_total{tenant="a",tier="xdp"} 12',
      'xgw_packets_total{tenant="b",tier="xdp"} 9007199254740992',
      "# HELP xgw_up Up.",
      "# TYPE xgw_up gauge",
      "xgw_up 1",
      "",
    ].join("\n"),
  );
});

it("a histogram counts in each bucket what is no longer than its bound, and all in the last", () => {
  const exposition = new Exposition();
  const durations = [0.01, 0.025, 45, 1000].reduce(withDuration, noDurations);
  exposition.histogram("xgw_work_seconds", "Work.")({ work: "repair" }, durations);
  const [, type, ...lines] = textOf(exposition).trimEnd().split("\n");
  expect(type).toBe("# TYPE xgw_work_seconds histogram");
  expect(lines.map((line) => line.replace('xgw_work_seconds_bucket{work="repair",le=', ""))).toEqual([
    ...['"0.005"} 0', '"0.025"} 2', '"0.1"} 2', '"0.5"} 2', '"1"} 2', '"2.5"} 2', '"5"} 2', '"10"} 2'],
    ...['"30"} 2', '"60"} 3', '"300"} 3', '"+Inf"} 4'],
    'xgw_work_seconds_sum{work="repair"} 1045.035',
    'xgw_work_seconds_count{work="repair"} 4',
  ]);
});

it("a label's text cannot end it", () => {
  const exposition = new Exposition();
  exposition.gauge("g", "G.")({ tenant: 'a"} 1\n\\' }, 1);
  expect(textOf(exposition)).toContain('g{tenant="a\\"} 1\\n\\\\"} 1\n');
});

it("what is long comes in pieces", () => {
  const exposition = new Exposition();
  const add = exposition.gauge("g", "G.");
  for (let n = 0; n < 20_000; n++) add({ tenant: `t${n}` }, n);
  const pieces = exposition.pieces();
  expect(pieces.length).toBeGreaterThan(3);
  expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(66_000);
});

it("a reading in slices lets timers and others run; at once it does not, and both come to the same", async () => {
  function* count(): Reading<number> {
    let sum = 0;
    for (let n = 0; n < 100; n++) {
      sum += n;
      yield;
    }
    return sum;
  }
  let turns = 0;
  let reading = true;
  const turn = () => {
    if (!reading) return;
    turns++;
    setImmediate(turn);
  };
  setImmediate(turn);
  expect(await inSlices(count(), 0)).toBe(4950);
  reading = false;
  expect(turns).toBeGreaterThanOrEqual(99);
  expect(atOnce(count())).toBe(4950);
});
