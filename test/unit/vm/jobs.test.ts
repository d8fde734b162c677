import { describe, expect, it } from "vitest";
import { planJobs } from "../../../vm/jobs.js";
import { parseTestArgs } from "../../../vm/test-args.js";

const jobsOf = async (...args: string[]) =>
  (await planJobs(parseTestArgs(args))).map(({ name, projects, inVm }) => [name, projects.join(" "), inVm]);

describe("the jobs of a run", () => {
  it("are one for the tests that run anywhere", async () => {
    expect(await jobsOf("unit")).toEqual([["here", "unit", false]]);
  });

  it("are one VM for each folder of e2e, and one for the rest, where a kernel is named", async () => {
    expect((await jobsOf("--kernel", "7.2")).sort()).toEqual([
      ["here", "unit", false],
      ["lab", "e2e", true],
      ["life", "e2e", true],
      ["packets", "e2e", true],
      ["vm", "native bpf", true],
    ]);
  });

  it("begin with the folders that have most files", async () => {
    expect((await jobsOf("--kernel", "7.2")).at(2)).toEqual(["lab", "e2e", true]);
  });

  it("end with what takes least", async () => {
    expect((await jobsOf("--kernel", "7.2")).slice(-2).map(([name]) => name)).toEqual(["here", "vm"]);
  });

  it("have what takes long when it is asked for, and only then", async () => {
    expect(await jobsOf("e2e", "long/starvation", "--kernel", "7.2")).toEqual([["long", "e2e", true]]);
  });

  it("are none for folders without a file that is asked for", async () => {
    expect(await jobsOf("e2e", "nat", "--kernel", "7.2")).toEqual([["packets", "e2e", true]]);
    expect((await planJobs(parseTestArgs(["e2e", "nat", "--kernel", "7.2"])))[0]?.files).toEqual([
      "test/e2e/packets/nat.test.ts",
    ]);
  });
});
