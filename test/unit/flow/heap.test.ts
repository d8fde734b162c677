import { expect, it } from "vitest";
import { TopHeap } from "../../../src/flow/heap.js";

it.each([0, 1, 7, 100, 1000])("keeps the greatest %i of 500, whatever their order", (limit) => {
  const weights = Array.from({ length: 500 }, (_, n) => (n * 7919) % 503);
  const heap = new TopHeap<number>(limit);
  for (const weight of weights) heap.add(weight, weight);
  expect(heap.sorted()).toEqual([...weights].sort((a, b) => b - a).slice(0, limit));
});
