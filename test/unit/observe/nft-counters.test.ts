import { describe, expect, it, vi } from "vitest";
import { readNftCounters } from "../../../src/observe/nft-counters.js";

/** What nft prints of each set; nothing of a set that is not there. */
const printed = vi.hoisted(() => new Map<string, string>());

vi.mock("../../../src/kernel/spawn.js", () => ({
  run: async (_program: string, args: readonly string[]) => {
    const stdout = printed.get(args.join(" "));
    return stdout === undefined
      ? { code: 1, stdout: "", stderr: "Error: No such file or directory" }
      : { code: 0, stdout, stderr: "" };
  },
}));

/** An element of a counted set as nft 1.0.6 prints it. */
const counted = (val: unknown, packets: number) => ({ elem: { val, counter: { packets, bytes: packets * 100 } } });
const table = (...sets: { name: string; elem: object[] }[]) => {
  for (const set of sets)
    printed.set(`-n -j list set ip xgw_gw1 ${set.name}`, JSON.stringify({ nftables: [{ metainfo: {} }, { set }] }));
};

describe("what nft has counted", () => {
  it("is nothing before there is a table", async () => {
    printed.clear();
    expect(await readNftCounters("gw1")).toEqual({ denied: new Map() });
  });

  it("is denied packets by tenant, direction and rule", async () => {
    table(
      { name: "denied_inbound", elem: [counted({ concat: [1, 0] }, 2), counted({ concat: [2, 0x8000_0003] }, 3)] },
      { name: "denied_outbound", elem: [counted({ concat: [1, 0x8001_0001] }, 4)] },
    );
    expect((await readNftCounters("gw1")).denied).toEqual(
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
