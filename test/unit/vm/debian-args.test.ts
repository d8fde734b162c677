import { expect, it } from "vitest";
import { parseDebianArgs } from "../../../vm/debian-args.js";

it("both releases unless one is named", () => {
  expect(parseDebianArgs([]).releases).toEqual(["bookworm", "trixie"]);
  expect(parseDebianArgs(["--release", "trixie"]).releases).toEqual(["trixie"]);
});

it("what follows is for npm test, options of its own after two dashes", () => {
  expect(parseDebianArgs(["--release", "trixie", "unit", "--", "-t", "a name"]).args).toEqual(["unit", "-t", "a name"]);
});

it("a release that is none of them is refused, with those that there are", () => {
  expect(() => parseDebianArgs(["--release", "sid"])).toThrow('--release is bookworm or trixie, not "sid"');
});
