import { describe, expect, it, vi } from "vitest";
import type { NftElement } from "../../../src/kernel/nftables.js";
import { readNftCounters } from "../../../src/observe/nft-counters.js";

/** What is in each set; nothing of a set that is not there. */
const sets = vi.hoisted(() => new Map<string, readonly NftElement[]>());

vi.mock("../../../src/kernel/nftables.js", () => ({
  *scanSet(_table: string, set: string) {
    for (const element of sets.get(set) ?? []) yield [element];
  },
}));

const counted = (key: string, packets: number): NftElement => ({
  key,
  value: "",
  counter: { packets, bytes: packets * 100 },
});

describe("what nft has counted", () => {
  it("is nothing before there is a table", () => {
    sets.clear();
    expect(readNftCounters("gw1")).toEqual({ denied: new Map() });
  });

  it("is denied packets by tenant, direction and rule", () => {
    sets.set("denied_inbound", [counted("1 . 0", 2), counted(`2 . ${0x8000_0003}`, 3)]);
    sets.set("denied_outbound", [counted(`1 . ${0x8001_0001}`, 4)]);
    expect(readNftCounters("gw1").denied).toEqual(
      new Map([
        [
          1,
          [
            { direction: "inbound", rule: undefined, packets: 2, bytes: 200 },
            { direction: "outbound", rule: 0, packets: 4, bytes: 400 },
          ],
        ],
        [2, [{ direction: "inbound", rule: 2, packets: 3, bytes: 300 }]],
      ]),
    );
  });
});
