// The policy as entries of the tries: shared where it is equal, and left to the rules where it would be too much. That the
// tries say what the rules say is tested with the programs.
import { describe, expect, it } from "vitest";
import type { DesiredTenant } from "../../../src/model/desired.js";
import { anyAddress } from "../../../src/model/ipv4.js";
import { anyPort, anyProtocol, compilePolicy, type PolicyRule } from "../../../src/model/policy.js";
import { PolicyPages } from "../../../src/plan/policy-maps.js";
import { outboundMark } from "../../../src/plan/rules.js";

const tcp = { from: 6, to: 6 };
const allow = (changes: Partial<PolicyRule> = {}): PolicyRule => ({
  verdict: "allow",
  protocol: anyProtocol,
  address: anyAddress,
  ports: [anyPort],
  ...changes,
});
const tenant = (id: number, outbound: readonly PolicyRule[]) =>
  ({ id, inbound: [], outbound: compilePolicy(outbound) }) as unknown as DesiredTenant;

describe("a tenant that may send everything", () => {
  const pages = new PolicyPages();
  const networks = pages.networksOf(tenant(1, [allow()]));

  it("has one network", () => expect(networks).toHaveLength(1));

  it("and one mark on its page, for all protocols and ports", () =>
    expect(pages.entries()).toEqual([
      { map: "policy_services", page: networks?.[0]?.page, protocol: 0, port: 0, bits: 0, mark: outboundMark + 1 },
    ]));
});

describe("two tenants with one policy", () => {
  const pages = new PolicyPages();
  const policy = [allow({ protocol: tcp, ports: [{ from: 22, to: 23 }] })];
  const [one, other] = [1, 2].map((id) => pages.networksOf(tenant(id, policy))?.map(({ page }) => page));

  it("share its page", () => expect(one).toEqual(other));
  it("which is there once", () => expect(pages.entries()).toHaveLength(1));
});

it("a page's name does not depend on what else is rendered, so no other tenant's entries change", () => {
  const [alone, beside] = [new PolicyPages(), new PolicyPages()];
  beside.networksOf(tenant(1, [allow({ protocol: tcp })]));
  expect(beside.networksOf(tenant(2, [allow()]))).toEqual(alone.networksOf(tenant(2, [allow()])));
});

it("protocols that XDP does not judge have no entries", () => {
  const pages = new PolicyPages();
  pages.networksOf(tenant(1, [allow({ protocol: { from: 1, to: 1 } })]));
  expect(pages.entries()).toEqual([]);
});

it("a policy of many services for each of many hosts has no networks at all", () => {
  const hosts = Array.from({ length: 200 }, (_, n) =>
    allow({ verdict: "deny", protocol: tcp, address: { from: 2 * n, to: 2 * n }, ports: [{ from: 5, to: 5 }] }),
  );
  const services = Array.from({ length: 100 }, (_, n) => ({ from: 1000 + 2 * n, to: 1000 + 2 * n }));
  expect(
    new PolicyPages().networksOf(tenant(1, [...hosts, allow({ protocol: tcp, ports: services })])),
  ).toBeUndefined();
});
