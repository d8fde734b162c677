import { describe, expect, it } from "vitest";
import { commandsShown, firstMissing } from "../../../vm/lab/questions.js";

const document =
  "# Book\n\n## Questions\n\n```\n# xgw flow list --limit 1\none\n…\n\nlast\n```\n\n## Next\n\n```\n# xgw status\n```\n";

describe("the commands that a document shows", () => {
  it("are those of the section, with the lines that must be there", () => {
    expect(commandsShown(document, "Questions")).toEqual([
      { command: ["flow", "list", "--limit", "1"], lines: ["one", "last"] },
    ]);
  });

  it("are missed where the section is", () => {
    expect(() => commandsShown(document, "Answers")).toThrow('no section "Answers"');
  });
});

describe("an output is of the shape that is shown", () => {
  it.each([
    ["whatever is counted", ["user1   1000      2    4360"], "user1  1000  3  5\n"],
    ["whatever the unit is", ["idle 1 s, known for 1 min 40 s, 3.14 MB"], "idle 0.3 s, known for 12 s, 868 kB"],
    ["with more lines between", ["first", "last"], "first\nsecond\nlast\n"],
    ["whenever it is", ["2026-12-01T04:04:24.577Z, over 3.9 s"], "2027-01-01T00:00:00.000Z, over 2 s"],
  ])("%s", (_, shown, output) => {
    expect(firstMissing(shown, output)).toBeUndefined();
  });

  it.each([
    ["with another address", ["to 10.0.0.7"], "to 10.0.0.8"],
    ["with another port", ["1.1.1.7:22 > 2.2.2.11:22"], "1.1.1.7:22 > 2.2.2.11:23"],
    ["with another tenant", ["user1  3"], "user2  3"],
    ["in another order", ["first", "last"], "last\nfirst"],
    ["without a line", ["first", "last"], "first"],
  ])("not %s", (_, shown, output) => {
    expect(firstMissing(shown, output)).toBe(shown.at(-1));
  });
});
