import { describe, expect, it, vi } from "vitest";
import { readNftCounters } from "../../../src/observe/nft-counters.js";

const printed = vi.hoisted(() => ({ json: "" }));

vi.mock("../../../src/kernel/spawn.js", () => ({
  run: async () =>
    printed.json === ""
      ? { code: 1, stdout: "", stderr: "Error: No such file or directory" }
      : { code: 0, stdout: printed.json, stderr: "" },
}));

/** An element of a counted set as nft 1.0.6 prints it. */
const counted = (val: unknown, packets: number) => ({ elem: { val, counter: { packets, bytes: packets * 100 } } });
const table = (...sets: object[]) => {
  printed.json = JSON.stringify({ nftables: sets.map((set) => ({ set })) });
};

describe("what nft has counted", () => {
  it("is nothing before there is a table", async () => {
    printed.json = "";
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
