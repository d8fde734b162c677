// A plan folded to what its steps are for. The steps are those of real configs.
import { describe, expect, it } from "vitest";
import { diff } from "../../../src/plan/diff.js";
import { type Outline, outlineOf } from "../../../src/plan/outline.js";
import { exampleText, inKernel, nothing, stateOf, thirdTenant } from "./fixture.js";

async function outlineBetween(from: string | undefined, to: string): Promise<Outline> {
  const observed = from === undefined ? nothing : inKernel(await stateOf(from));
  const wanted = await stateOf(to, observed);
  return outlineOf({ wanted, observed, steps: diff(wanted, observed) });
}

/** Without the steps themselves. */
const told = ({ tenants }: Outline) =>
  tenants.map(({ name, change, items }) => [
    `${name} ${change}`,
    ...items.map(({ sign, part, item }) => `${sign} ${part}${item === "" ? "" : ` ${item}`}`),
  ]);

const example = await exampleText();

describe("a plan's outline", () => {
  it("has each step once, with its tenant or as everybody's", async () => {
    const { steps, shared, tenants } = await outlineBetween(undefined, example);
    const own = tenants.reduce((sum, { items }) => sum + items.reduce((all, item) => all + item.steps.length, 0), 0);
    expect({ steps, told: shared.length + own }).toEqual({ steps, told: steps });
    expect(tenants.map((tenant) => [tenant.name, tenant.change])).toEqual([
      ["user1", "new"],
      ["user2", "new"],
    ]);
  });

  it("is empty when there is nothing to do", async () => {
    expect(await outlineBetween(example, example)).toEqual({ steps: 0, shared: [], tenants: [] });
  });

  it("of a port that is opened is that rule, and what follows from it", async () => {
    const opened = await exampleText(["ports: [22] }", "ports: [22, 2222] }"]);
    expect(told(await outlineBetween(example, opened))).toEqual([
      ["user1 changed", "+ inbound rule 0", "~ policy", "> flows"],
    ]);
  });

  it("of a route, of an address and of a limit names them", async () => {
    const edited = await exampleText(
      ["10.0.0.7/32, via: 172.168.0.11", "10.0.0.7/32, via: 172.168.0.13"],
      ["[1.1.1.11/24, 10.0.0.1/24]", "[1.1.1.11/24]"],
      ["sessions: 100000", "sessions: 1000"],
    );
    expect(told(await outlineBetween(example, edited))).toEqual([
      [
        "user1 changed",
        "~ limits",
        "- address 10.0.0.1/24",
        "- endpoint 172.168.0.11",
        "+ endpoint 172.168.0.13",
        "~ route 10.0.0.7/32",
        "> flows",
      ],
    ]);
  });

  it("of a tenant that comes and one that goes says so, under their names", async () => {
    const text = example + thirdTenant;
    const outlines = [await outlineBetween(example, text), await outlineBetween(text, example)];
    expect(outlines.map(({ tenants }) => tenants.map(({ name, change }) => `${name} ${change}`))).toEqual([
      ["user3 new"],
      ["user3 removed"],
    ]);
    for (const [outline, sign] of [
      [outlines[0], "+"],
      [outlines[1], "-"],
    ] as const)
      expect(
        new Set(
          outline?.tenants.flatMap(({ items }) => items.flatMap(({ part, sign }) => (part === "flows" ? [] : [sign]))),
        ),
      ).toEqual(new Set([sign]));
  });

  it("of a key that changes is a tenant that goes and one that comes", async () => {
    const { tenants } = await outlineBetween(example, await exampleText(["key: 1000", "key: 1001"]));
    expect(tenants.map(({ name, change }) => `${name} ${change}`).sort()).toEqual(["user1 new", "user1 removed"]);
  });
});
