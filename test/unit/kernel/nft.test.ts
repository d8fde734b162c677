// nft's JSON: of a table that nft 1.0.6 really printed (fixtures/), and of a flowtable, which needs another kernel.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { formatValue, parseTable } from "../../../src/kernel/nft.js";

const printed = readFileSync(new URL("fixtures/nft-1.0.6-table.json", import.meta.url), "utf8");

describe("a table that nft printed", () => {
  const table = parseTable(printed);
  const keys = (name: string) =>
    (table.sets.find((set) => set.name === name)?.elem ?? []).map((elem) =>
      Array.isArray(elem) ? elem.map((value) => formatValue(value as never)).join(" : ") : formatValue(elem as never),
    );

  it("has its chains, and the number of their rules", () => {
    expect([...table.chains]).toEqual([
      ["xgw_version_0123456789ab", 0],
      ["c", 2],
    ]);
  });

  it("has its sets and maps", () => {
    expect(table.sets.map(({ name }) => name)).toEqual([
      "zones",
      "dnat_to",
      "forward_to",
      "snat_to",
      "inbound",
      "denied_outbound",
      "kernel_forwarded",
    ]);
  });

  it("has plain keys", () => expect(keys("zones")).toEqual(["xgre1000 : 1", "xgre2000 : 2"]));

  it("has concatenated keys", () => expect(keys("dnat_to")).toEqual(["1 . 2.2.2.11 : 10.0.0.7"]));

  it("has concatenated values", () => expect(keys("forward_to")).toEqual(["1 . 2.2.2.13 . 6 . 80 : 10.0.0.8 . 8080"]));

  it("has no elements in an empty map", () => expect(keys("snat_to")).toEqual([]));

  it("has ranges, and prefixes as ranges, and marks above 2^31", () => {
    expect([...keys("inbound")].sort()).toEqual([
      "1 . 1 . 10.0.0.1-10.0.0.3 . 0-65535 : 3",
      "1 . 17 . 10.0.0.0-10.255.255.255 . 1-1023 : 2147483650",
      "1 . 6 . 0.0.0.0-255.255.255.255 . 22 : 1",
      "2 . 0-255 . 1.2.3.4 . 0-65535 : 4",
    ]);
  });

  it("has counted elements", () => expect(keys("denied_outbound")).toEqual(["0 . 0"]));

  it("has no flowtable devices without a flowtable", () => expect(table.flowtableDevices).toEqual(new Map()));
});

describe("a flowtable", () => {
  const devicesOf = (flowtable: object) => [
    ...parseTable(JSON.stringify({ nftables: [{ flowtable: { name: "fastpath0", ...flowtable } }] })).flowtableDevices,
  ];

  it("has no devices at first", () => expect(devicesOf({})).toEqual([]));

  it("has one device as text", () => expect(devicesOf({ dev: "xgre1" })).toEqual([["xgre1", "fastpath0"]]));

  it("has several as a list", () =>
    expect(devicesOf({ dev: ["xgre1", "xgre2"] })).toEqual([
      ["xgre1", "fastpath0"],
      ["xgre2", "fastpath0"],
    ]));
});

describe("an address prefix becomes the range that xgw writes", () => {
  for (const [addr, len, range] of [
    ["0.0.0.0", 0, "0.0.0.0-255.255.255.255"],
    ["10.0.0.0", 8, "10.0.0.0-10.255.255.255"],
    ["192.0.2.128", 31, "192.0.2.128-192.0.2.129"],
    ["255.255.255.255", 32, "255.255.255.255"],
  ] as const)
    it(`${addr}/${len}`, () => expect(formatValue({ prefix: { addr, len } })).toBe(range));
});

it("a range of one is one", () => expect(formatValue({ range: [80, 80] })).toBe("80"));
