import { describe, expect, it } from "vitest";
import { firstState, keysIn, pressed, type State, sorts } from "../../../../src/cli/top/state.js";

const names = ["a", "b", "c"];
const tenants = firstState(undefined, "bits");
const flows = firstState("b", "bits");
const withKeys = (state: State, ...keys: string[]): State =>
  keys.reduce((before, key) => pressed(before, key, names), state);

describe("keys", () => {
  it("move the marker no further than the last row, and the first", () => {
    const marks = [withKeys(tenants, "j", "down", "j", "j"), withKeys(tenants, "k"), withKeys(tenants, "j", "j", "up")];
    expect(marks.map(({ selected }) => selected)).toEqual([2, 0, 1]);
  });

  it("go down to the tenant under the marker, and back to where one was", () => {
    const down = withKeys(tenants, "j", "enter");
    expect(down).toMatchObject({ view: "flows", tenant: "b" });
    expect(withKeys(down, "escape")).toMatchObject({ view: "tenants", tenant: undefined, selected: 1 });
  });

  it("go nowhere when no tenant is shown", () => {
    expect(pressed(tenants, "enter", [])).toEqual(tenants);
  });

  it("sort tenants by each figure in turn, and then by the first again", () => {
    const seen = sorts.map((_, times) => withKeys(tenants, ...Array<string>(times + 1).fill("s")).sort);
    expect(seen).toEqual([...sorts.slice(1), "bits"]);
  });

  it("sort flows by bits or packets", () => {
    expect([withKeys(flows, "s").sort, withKeys(flows, "s", "s").sort]).toEqual(["packets", "bits"]);
  });

  it("sort flows by packets after what flows do not have", () => {
    expect(withKeys({ ...flows, sort: "sessions" }, "s").sort).toBe("packets");
  });

  it("that mean something else are text while a filter is typed", () => {
    expect(withKeys(tenants, "/", "q", "s", "backspace", "enter")).toMatchObject({
      ...{ filter: "q", typing: undefined, isDone: false, sort: "bits" },
    });
  });

  it("leave the filter as it was when typing is given up", () => {
    expect(withKeys({ ...tenants, filter: "x" }, "/", "y", "escape")).toMatchObject({ filter: "x", typing: undefined });
  });

  it("take the filter away from the table of tenants by Esc", () => {
    expect(withKeys({ ...tenants, filter: "x" }, "escape").filter).toBe("");
  });

  it("end it, also while a filter is typed", () => {
    expect([withKeys(tenants, "q"), withKeys(tenants, "/", "ctrl-c")].map(({ isDone }) => isDone)).toEqual([
      true,
      true,
    ]);
  });

  it("leave the help, whichever is pressed", () => {
    expect(withKeys(tenants, "h", "s")).toEqual(tenants);
  });
});

describe("what a terminal sends", () => {
  it("is taken apart into keys", () => {
    expect(keysIn("\x1b[Aq\x1bOB\r\x7f\x03\x1b")).toEqual([
      "up",
      "q",
      "down",
      "enter",
      "backspace",
      "ctrl-c",
      "escape",
    ]);
  });

  it("is passed over where it means nothing here", () => {
    expect(keysIn("\x1b[5~\x1b[1;5C\x00\tä")).toEqual(["ä"]);
  });
});
