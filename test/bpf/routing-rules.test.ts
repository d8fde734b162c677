// The order of a network namespace's routing rules, as `ip rule` has it before and after.
import { inNetNamespace } from "libbpf-ts";
import { expect, it } from "vitest";
import { putBack, putTenantsFirst, readRules, ruleOrderOf } from "../../src/kernel/routing-rules.js";
import { makeNamespace } from "./support/kernel.js";

/** Processes are started before the first wait, and so in the namespace. */
const inside = async <T>(path: string, work: () => Promise<T>): Promise<T> => {
  let working: Promise<T> | undefined;
  inNetNamespace(path, (() => {
    working = work();
  }) as () => never);
  return working as Promise<T>;
};

/** Rules of a namespace: those that the kernel makes, and others. */
function namespaceWith(...rules: string[]) {
  const { path, ip, exec } = makeNamespace();
  for (const rule of rules) ip("rule", ...rule.split(" "));
  return {
    rules: () => exec("ip", "rule").trim().split("\n"),
    order: () => inNetNamespace(path, (() => ruleOrderOf(readRules("ipv4"))) as () => never),
    putTenantsFirst: () => inside(path, () => putTenantsFirst("ipv4")),
    putBack: () => inside(path, () => putBack("ipv4")),
  };
}

const kernels = ["0:\tfrom all lookup local", "32766:\tfrom all lookup main", "32767:\tfrom all lookup default"];
const [local = "", ...mainAndDefault] = kernels;
const l3mdev = "1000:\tfrom all lookup [l3mdev-table]";
const behind = "32765:\tfrom all lookup local proto 201";

it.each([
  ["the kernel's", [], []],
  ["with a rule for VRFs already", ["add pref 1000 l3mdev"], []],
  ["with the local table behind main as well", ["add pref 40000 table local"], ["40000:\tfrom all lookup local"]],
  [
    "with the local table behind main only",
    ["add pref 40000 table local", "del pref 0"],
    ["40000:\tfrom all lookup local"],
  ],
] as const)("%s: tenants come first, the gateway's own addresses next, before main", async (_, changes, stays) => {
  const { rules, order, putTenantsFirst } = namespaceWith(...changes);
  expect(order()).toBe("kernel's");
  await putTenantsFirst();
  expect(rules()).toEqual([l3mdev, behind, ...mainAndDefault, ...stays]);
  expect(order()).toBe("tenants first");
});

it("is the kernel's again when it is put back", async () => {
  const { rules, putTenantsFirst, putBack } = namespaceWith();
  await putTenantsFirst();
  await putBack();
  expect(rules()).toEqual([local, l3mdev, ...mainAndDefault]);
});
