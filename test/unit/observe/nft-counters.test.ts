import { describe, expect, it, vi } from "vitest";
import type { NftElement } from "../../../src/kernel/nftables.js";
import { readNftCounters } from "../../../src/observe/nft-counters.js";
import { desiredOf, exampleText } from "../plan/fixture.js";

/** What is in each set; nothing of a set that is not there. */
const sets = vi.hoisted(() => new Map<string, readonly NftElement[]>());

vi.mock("../../../src/kernel/nftables.js", () => ({
  *scanSet(_table: string, set: string, _types: unknown, family = "ip") {
    for (const element of sets.get(`${family} ${set}`) ?? []) yield [element];
  },
}));

const counted = (key: string, packets: number): NftElement => ({
  key,
  value: "",
  counter: { packets, bytes: packets * 100 },
});

describe("what nft has counted", async () => {
  const { tenants } = await desiredOf(await exampleText());
  const read = () => readNftCounters("gw1", tenants);

  it("is nothing before there is a table", () => {
    sets.clear();
    expect(read()).toEqual({ denied: new Map(), refused: new Map() });
  });

  it("is denied packets by tenant, direction and rule", () => {
    sets.set("ip denied_inbound", [counted("1 . 0", 2), counted(`2 . ${0x8000_0003}`, 3)]);
    sets.set("ip denied_outbound", [counted(`1 . ${0x8001_0001}`, 4)]);
    expect(read().denied).toEqual(
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

  it("is refused packets by tenant and reason, whichever of the tenant's names they are counted under", () => {
    sets.clear();
    sets.set("ip strangers", [counted("2000", 1)]);
    sets.set("ip spoofed", [counted("xvrf1000", 2)]);
    sets.set("ip6 other_family", [counted("xgre1000", 3), counted("xvrf1000", 4)]);
    expect(read().refused).toEqual(
      new Map([
        [2, { stranger: { packets: 1, bytes: 100 } }],
        [1, { spoofed: { packets: 2, bytes: 200 }, other_family: { packets: 7, bytes: 700 } }],
      ]),
    );
  });

  it("is what nobody may send from one side to the other, of all devices together", () => {
    sets.clear();
    sets.set("ip crossed", [counted("eth0", 1), counted("eth1", 2)]);
    expect(read().refused).toEqual(new Map([[0, { crossed: { packets: 3, bytes: 300 } }]]));
  });

  it("is forged errors, of the tenant whose VRF they came in by, else nobody's", () => {
    sets.clear();
    sets.set("ip forged", [counted("eth0", 1), counted("xvrf2000", 2)]);
    expect(read().refused).toEqual(
      new Map([
        [0, { forged: { packets: 1, bytes: 100 } }],
        [2, { forged: { packets: 2, bytes: 200 } }],
      ]),
    );
  });

  it("leaves out what tenants have left that have gone", () => {
    sets.clear();
    sets.set("ip strangers", [counted("4711", 1)]);
    sets.set("ip forged", [counted("xvrf4711", 1)]);
    expect(read().refused).toEqual(new Map());
  });
});
