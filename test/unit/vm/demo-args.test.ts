import { expect, it } from "vitest";
import { parseDemoArgs } from "../../../vm/demo-args.js";

it("keeps the lab for a shell, or for the command behind --", () => {
  expect(parseDemoArgs(["--keep"])).toMatchObject({ keep: true, command: [] });
  expect(parseDemoArgs(["--keep", "--", "xgw", "flow", "list", "-j"])).toMatchObject({
    command: ["xgw", "flow", "list", "-j"],
  });
});

it.each([
  [["xgw", "status"], /needs --keep/],
  [["--keep", "--only", "pings"], /no checks/],
  [["--tunnel", "vxlan"], /gretap or gre/],
])("refuses %j", (argv, words) => {
  expect(() => parseDemoArgs(argv)).toThrow(words);
});
