import { expect, it } from "vitest";
import { allocateIds } from "../../../src/model/allocate.js";
import { maxTenants } from "../../../src/model/desired.js";

/** Ids in the order of the keys. */
function ids(keys: readonly number[], inUse: readonly (readonly [key: number, id: number])[] = []): number[] {
  return [...allocateIds(keys, new Map(inUse)).values()];
}

it("new tenants get 1, 2, 3 in the config's order, whatever their keys", () => {
  expect(ids([3000, 1000, 2000])).toEqual([1, 2, 3]);
});

it("a tenant keeps its id when others come before it", () => {
  expect(ids([5, 6, 1000], [[1000, 1]])).toEqual([2, 3, 1]);
});

it("a gap is filled by the lowest free id", () => {
  expect(
    ids(
      [1, 2, 3],
      [
        [1, 1],
        [2, 3],
      ],
    ),
  ).toEqual([1, 3, 2]);
});

it("the id of a tenant that goes away is not handed out while there is another", () => {
  expect(ids([2], [[1, 1]])).toEqual([2]);
});

it("the id of a tenant that goes away is handed out when there is no other", () => {
  const keys = Array.from({ length: maxTenants - 1 }, (_, index) => index);
  const given = ids(keys, [[999_999, 1]]);
  expect(given.at(-1)).toBe(1);
});

it("ids out of range, or that two claim, count as none", () => {
  expect(
    ids(
      [1, 2, 3, 4],
      [
        [1, 0],
        [2, maxTenants],
        [3, 7],
        [4, 7],
      ],
    ),
  ).toEqual([1, 2, 7, 3]);
});

it("one tenant more than there are ids is refused", () => {
  const keys = Array.from({ length: maxTenants }, (_, index) => index);
  expect(() => allocateIds(keys)).toThrow("8192 tenants are more than the 8191 that one instance can hold");
});

it("what another instance has is passed over, also by a tenant that comes", () => {
  expect([...allocateIds([1, 2, 3], new Map([[2, 4]]), (id) => id < 3)]).toEqual([
    [1, 3],
    [2, 4],
    [3, 5],
  ]);
});

it("more tenants than other instances leave ids are refused", () => {
  expect(() => allocateIds([1, 2, 3], new Map([[3, 1]]), (id) => id > 2)).toThrow(
    expect.objectContaining({ message: expect.stringContaining("leave ids for 2 tenants, and the config has 3") }),
  );
});
