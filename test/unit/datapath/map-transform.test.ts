// From one version's records to another's.
import type { Layout } from "libbpf-ts";
import { describe, expect, it } from "vitest";
import { transformOf } from "../../../src/datapath/map-transform.js";

const int = (size: number): Layout => ({ kind: "int", size, signed: false, order: "le" });
const struct = (name: string, ...fields: readonly [string, number, Layout][]): Layout => ({
  kind: "struct",
  name,
  size: Math.max(...fields.map(([, offset, { size }]) => offset + size)),
  fields: fields.map(([field, offset, layout]) => ({ name: field, offset, layout })),
});
const none = new Map<string, string>();

function moved(
  old: Layout,
  now: Layout,
  record: readonly number[],
  tags: ReadonlyMap<string, string> = none,
): number[] {
  const to = Buffer.alloc(now.size);
  transformOf("flows", old, now, tags)(Buffer.from(record), 0, to, 0);
  return [...to];
}

const old = struct("s", ["a", 0, int(2)], ["b", 2, int(2)]);

describe("a record of an older version", () => {
  it("is copied field by field, by name", () => {
    const now = struct("s", ["b", 0, int(2)], ["a", 2, int(2)]);
    expect(moved(old, now, [1, 2, 3, 4])).toEqual([3, 4, 1, 2]);
  });

  it("loses the fields that are no more", () => {
    expect(moved(old, struct("s", ["b", 0, int(2)]), [1, 2, 3, 4])).toEqual([3, 4]);
  });

  it("keeps its numbers where there is more room for them", () => {
    expect(moved(old, struct("s", ["a", 0, int(4)]), [1, 2, 3, 4])).toEqual([1, 2, 0, 0]);
  });

  it("gets what a new field's tag says", () => {
    const now = struct("s", ["a", 0, int(2)], ["new", 2, int(1)], ["pad", 3, int(1)]);
    expect(moved(old, now, [1, 2, 3, 4], new Map([["s.new", "xgw:default=7"]]))).toEqual([1, 2, 7, 0]);
  });

  it("is found in structs within structs and in arrays", () => {
    const array: Layout = { kind: "array", size: 4, count: 2, element: int(2) };
    const from = struct("s", ["key", 0, old], ["list", 4, array]);
    const to = struct("s", ["list", 0, array], ["key", 4, struct("s", ["b", 0, int(2)])]);
    expect(moved(from, to, [1, 2, 3, 4, 5, 6, 7, 8])).toEqual([5, 6, 7, 8, 3, 4]);
  });

  it("keeps a number that fits where there is less room, and is refused when one does not", () => {
    const now = struct("s", ["a", 0, int(1)]);
    expect(moved(old, now, [200, 0, 3, 4])).toEqual([200]);
    expect(() => moved(old, now, [0, 1, 3, 4])).toThrow(/256 does not fit into its field a/);
  });

  const refusals: readonly (readonly [string, Layout, RegExp])[] = [
    ["a field is new", struct("s", ["a", 0, int(2)], ["mystery", 2, int(2)]), /field mystery is new/],
    ["a field is of another kind", struct("s", ["a", 0, { kind: "bytes", size: 2 }]), /field a is of another kind/],
  ];
  for (const [what, now, words] of refusals)
    it(`is refused, by the field's name, when ${what} and nothing says what becomes of it`, () =>
      expect(() => transformOf("flows", old, now, none)).toThrow(words));
});
