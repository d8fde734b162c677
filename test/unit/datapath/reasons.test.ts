// docs/reasons.md has a row for each reason, in words that agree with `xgw status`.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { reasons } from "../../../src/datapath/reasons.js";

const text = readFileSync(new URL("../../../docs/reasons.md", import.meta.url), "utf8");
const rows = [...text.matchAll(/^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$/gm)].map((row) => row.slice(1, 5));

describe("docs/reasons.md", () => {
  it("names every reason with its verdict and meaning, in order", () => {
    expect(rows.map((row) => row.slice(0, 3))).toEqual(
      reasons.map(({ name, verdict, meaning }) => [name, verdict, meaning]),
    );
  });

  it("says of each what one can do", () => {
    expect(rows.filter(([, , , advice = ""]) => advice.length < "Nothing.".length)).toEqual([]);
  });
});

describe("reasons", () => {
  it("have names that can be metric labels", () => {
    expect(reasons.filter(({ name }) => !/^[a-z][a-z_]*$/.test(name))).toEqual([]);
  });

  it("have different names", () => expect(new Set(reasons.map(({ name }) => name)).size).toBe(reasons.length));
});
