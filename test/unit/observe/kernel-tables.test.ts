// Tables of the kernel that are too small for the config, and cannot be made larger from here.
import { beforeEach, describe, expect, it, vi } from "vitest";
import { findingText } from "../../../src/finding.js";
import { fixedSysctls, tableFindings } from "../../../src/observe/kernel-tables.js";
import { tableSysctls } from "../../../src/plan/sysctls.js";
import { desiredOf, exampleText } from "../plan/fixture.js";

const kernel = vi.hoisted(() => ({ values: new Map<string, string>(), settable: true }));
vi.mock("../../../src/kernel/sysctl.js", () => ({
  readSysctl: (name: string) => kernel.values.get(name),
  isSettable: () => kernel.settable,
}));

const desired = await desiredOf(await exampleText());
const wanted = tableSysctls(desired);
beforeEach(() => {
  kernel.values = new Map(wanted);
  kernel.settable = true;
});
const tooSmall = () => {
  for (const [name, value] of wanted) kernel.values.set(name, String(Number(value) - 1));
};

describe("a warning", () => {
  it("is given for each that is too small and fixed, with what to do in the first namespace", () => {
    tooSmall();
    kernel.settable = false;
    expect(tableFindings(desired).map(findingText)).toEqual(
      wanted.map(([name, value]) =>
        expect.stringMatching(
          new RegExp(`^${name} is ${Number(value) - 1}, .*nsenter --net=/proc/1/ns/net sysctl ${name}=${value}$`),
        ),
      ),
    );
    expect(wanted.length).toBeGreaterThan(2);
  });

  it("is not given for what the plan makes larger", () => {
    tooSmall();
    expect(tableFindings(desired)).toEqual([]);
  });

  it("is not given for what is large enough, or more", () => {
    kernel.settable = false;
    expect(tableFindings(desired)).toEqual([]);
    for (const [name, value] of wanted) kernel.values.set(name, String(2 * Number(value)));
    expect(tableFindings(desired)).toEqual([]);
  });

  it("is not given for what there is nothing to be read of", () => {
    kernel.settable = false;
    kernel.values = new Map();
    expect(tableFindings(desired)).toEqual([]);
  });
});

it("settings are left out of the plan where they cannot be written", () => {
  expect(fixedSysctls(desired).size).toBe(0);
  kernel.settable = false;
  expect([...fixedSysctls(desired)].sort()).toEqual(wanted.map(([name]) => name).sort());
});
