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
    add: (rule: string) => ip("rule", "add", ...rule.split(" ")),
    remove: (rule: string) => ip("rule", "del", ...rule.split(" ")),
    rules: () => exec("ip", "rule").trim().split("\n"),
    order: () => inNetNamespace(path, (() => ruleOrderOf(readRules("ipv4"))) as () => never),
    putTenantsFirst: () => inside(path, () => putTenantsFirst("ipv4")),
    putBack: () => inside(path, () => putBack("ipv4")),
  };
}

const kernels = ["0:\tfrom all lookup local", "32766:\tfrom all lookup main", "32767:\tfrom all lookup default"];
const [local = "", ...mainAndDefault] = kernels;
const kernelsL3mdev = "1000:\tfrom all lookup [l3mdev-table]";
const tenantsFirst = ["0:\tfrom all lookup [l3mdev-table]", local];

it.each<[string, readonly string[], readonly string[]]>([
  ["the kernel's", [], mainAndDefault],
  ["with a rule for VRFs already", ["add pref 1000 l3mdev"], [kernelsL3mdev, ...mainAndDefault]],
  [
    "with the local table behind main only",
    ["add pref 40000 table local", "del pref 0"],
    [...mainAndDefault, "40000:\tfrom all lookup local"],
  ],
  [
    "as a version before has left them",
    ["add pref 1000 l3mdev", "add pref 32765 table local protocol 201", "del pref 0"],
    [kernelsL3mdev, ...mainAndDefault],
  ],
  [
    "as a run that died half-way has left them",
    ["add pref 0 l3mdev", "add pref 1 table local protocol kernel", "del pref 0 table local"],
    mainAndDefault,
  ],
  [
    "with somebody's rule at any preference",
    ["add pref 77 from 192.0.2.0/24 table 9"],
    ["77:\tfrom 192.0.2.0/24 lookup 9", ...mainAndDefault],
  ],
])("%s: tenants come first, the gateway's own addresses next, then all others", async (_, changes, others) => {
  const { rules, order, putTenantsFirst } = namespaceWith(...changes);
  expect(order()).toBe("kernel's");
  await putTenantsFirst();
  expect(rules()).toEqual([...tenantsFirst, ...others]);
  expect(order()).toBe("tenants first");
});

it("a rule that somebody adds without a preference stands behind both", async () => {
  const { rules, add, putTenantsFirst } = namespaceWith();
  await putTenantsFirst();
  add("lookup main suppress_prefixlength 0");
  expect(rules()).toEqual([...tenantsFirst, "0:\tfrom all lookup main suppress_prefixlength 0", ...mainAndDefault]);
});

it("is the kernel's again when it is put back", async () => {
  const { rules, putTenantsFirst, putBack } = namespaceWith();
  await putTenantsFirst();
  await putBack();
  expect(rules()).toEqual([local, ...mainAndDefault]);
});

it("has a rule for the machine's own addresses when it is put back, whoever has removed it", async () => {
  const { rules, putTenantsFirst, putBack, remove } = namespaceWith();
  await putTenantsFirst();
  remove("pref 0 table local");
  await putBack();
  expect(rules()).toEqual([local, ...mainAndDefault]);
});

it("leaves the machine's own addresses behind somebody's VRFs when it is put back, where they have put them there", async () => {
  const behind = ["add pref 1000 l3mdev", "add pref 32765 table local", "del pref 0"];
  const { rules, putTenantsFirst, putBack } = namespaceWith(...behind);
  await putTenantsFirst();
  await putBack();
  expect(rules()).toEqual([kernelsL3mdev, "32765:\tfrom all lookup local", ...mainAndDefault]);
});
