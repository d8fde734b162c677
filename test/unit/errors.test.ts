import { describe, expect, it } from "vitest";
import {
  BusyError,
  ConfigError,
  ForeignError,
  formatProblem,
  KernelError,
  PermissionError,
  toXgwError,
  UsageError,
  XgwError,
} from "../../src/errors.js";

const problem = { file: "a.yaml", line: 3, column: 7, path: "nics[0].name", message: "it is wrong", remedy: "mend it" };

it("each kind of error has the code and exit code that scripts rely on", () => {
  const errors = [
    new XgwError("x"),
    new UsageError("x"),
    new ConfigError([problem]),
    new KernelError("x"),
    new PermissionError("x"),
    new ForeignError("x"),
    new BusyError("x"),
  ];
  expect(errors.map(({ name, code, exitCode }) => [name, code, exitCode])).toEqual([
    ["XgwError", "XGW_FAILED", 1],
    ["UsageError", "XGW_USAGE", 2],
    ["ConfigError", "XGW_CONFIG", 2],
    ["KernelError", "XGW_KERNEL", 3],
    ["PermissionError", "XGW_PERMISSION", 4],
    ["ForeignError", "XGW_FOREIGN", 5],
    ["BusyError", "XGW_BUSY", 1],
  ]);
});

describe("a problem as a line", () => {
  it("begins with its place", () => {
    expect(formatProblem(problem)).toBe("a.yaml:3:7: nics[0].name: it is wrong; mend it");
  });

  it("has no line and no path when it is the whole file's", () => {
    expect(formatProblem({ ...problem, line: 0, column: 0, path: "" })).toBe("a.yaml: it is wrong; mend it");
  });

  it("says that it is a warning", () => {
    expect(formatProblem(problem, "warning")).toBe("a.yaml:3:7: warning: nics[0].name: it is wrong; mend it");
  });
});

describe("what somebody else threw", () => {
  it("is a lack of permission when errno says so", () => {
    expect(toXgwError(Object.assign(new Error("open"), { code: "EPERM" }))).toBeInstanceOf(PermissionError);
  });

  it("is a failure otherwise, with the first error as its cause", () => {
    const thrown = new Error("boom");
    expect(toXgwError(thrown)).toMatchObject({ code: "XGW_FAILED", message: "boom", cause: thrown });
  });

  it("is left alone when it is ours", () => {
    const ours = new ForeignError("taken");
    expect(toXgwError(ours)).toBe(ours);
  });
});
