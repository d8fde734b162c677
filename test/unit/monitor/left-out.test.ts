import { expect, it } from "vitest";
import type { RawEvent } from "../../../src/datapath/raw-event.js";
import { reasons } from "../../../src/datapath/reasons.js";
import { type DropCounts, LeftOutCounter } from "../../../src/monitor/left-out.js";

const tenants = [{ id: 1, key: 1000, name: "user1" }];
const counts = (policy: number, rest: Partial<DropCounts> = {}): DropCounts => ({
  drops: new Map([[1, { policy: { packets: policy }, no_flow: { packets: 77 } }]]),
  kernelDrops: 0,
  eventsLost: 0,
  ...rest,
});
const drop = { kind: "drop", tenant: 1, reason: reasons.findIndex(({ name }) => name === "policy") } as RawEvent;

it("what was dropped and told of is not left out", () => {
  const counter = new LeftOutCounter(counts(10));
  counter.told(drop);
  counter.look(counts(11), tenants);
  expect(counter.look(undefined, tenants)).toBe(undefined);
});

it("what was dropped and not told of is, once", () => {
  const counter = new LeftOutCounter(counts(10));
  counter.told(drop);
  counter.look(counts(15), tenants);
  expect(counter.look(counts(15), tenants)?.drops).toEqual([
    { tenant: "user1", key: 1000, reason: "policy", packets: 4 },
  ]);
  expect(counter.look(undefined, tenants)).toBe(undefined);
});

it("a drop that is counted before it is told of is not left out", () => {
  const counter = new LeftOutCounter(counts(10));
  counter.look(counts(11), tenants);
  counter.told(drop);
  expect(counter.look(undefined, tenants)).toBe(undefined);
});

it("packets that went up are no drops", () => {
  const counter = new LeftOutCounter({ ...counts(10), drops: new Map() });
  counter.look({ ...counts(0), drops: new Map([[1, { no_flow: { packets: 5 } }]]) }, tenants);
  expect(counter.look(undefined, tenants)).toBe(undefined);
});

it("the kernel's drops and lost events are said by their numbers", () => {
  const counter = new LeftOutCounter(counts(10, { eventsLost: 2 }));
  counter.look(counts(10, { kernelDrops: 4, eventsLost: 5 }), tenants);
  expect(counter.look(undefined, tenants)).toEqual({ drops: [], kernelDrops: 4, eventsLost: 3 });
});
