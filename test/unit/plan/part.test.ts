// A change of one tenant takes the steps that a comparison of everything takes, and looks at that tenant only.
import { describe, expect, it } from "vitest";
import { checkConfigValue } from "../../../src/config/load.js";
import type { Config } from "../../../src/config/schema.js";
import { buildDesired, rebuildDesired } from "../../../src/model/build.js";
import { diff } from "../../../src/plan/diff.js";
import { changedTenants, partialChange } from "../../../src/plan/part.js";
import { render } from "../../../src/plan/render.js";
import { context } from "./fixture.js";

const tenant = (key: number, more: object = {}) => ({
  name: `t${key}`,
  key,
  addresses: ["10.0.0.1/24"],
  routes: [{ to: "10.0.0.7/32", via: "172.16.0.9" }],
  publicIps: [{ address: `2.2.2.${key}`, to: "10.0.0.7" }],
  policy: { inbound: [{ allow: "tcp", ports: [22] }] },
  ...more,
});

function configOf(tenants: readonly object[], head: object = {}): Config {
  const underlay = { device: "eth0", address: "172.16.0.1" };
  return checkConfigValue({ apiVersion: "xgw/v1", instance: "gw1", underlay, tenants, ...head }).config;
}

const before = configOf([tenant(1), tenant(2), tenant(3)]);

describe("a change of some tenants out of three", () => {
  it.each<[what: string, tenants: readonly object[], keys: readonly number[]]>([
    [
      "a port of its policy",
      [tenant(1), tenant(2, { policy: { inbound: [{ allow: "tcp", ports: [80] }] } }), tenant(3)],
      [2],
    ],
    [
      "a route more",
      [tenant(1), tenant(2, { routes: [...tenant(2).routes, { to: "10.0.0.8/32", via: "172.16.0.8" }] }), tenant(3)],
      [2],
    ],
    ["its public address", [tenant(1), tenant(2, { publicIps: [] }), tenant(3)], [2]],
    ["its kind of tunnel", [tenant(1), tenant(2, { tunnel: "gre" }), tenant(3)], [2]],
    ["its end", [tenant(1), tenant(3)], [2]],
    ["one more", [tenant(1), tenant(2), tenant(4), tenant(3)], [4]],
    ["another key", [tenant(1), tenant(2), tenant(5)], [5, 3]],
    ["two more, one changed, one gone", [tenant(6), tenant(7), tenant(2, { publicIps: [] }), tenant(3)], [6, 7, 2, 1]],
  ])("%s: the steps are those of the whole comparison", (_what, tenants, wantedKeys) => {
    const now = configOf(tenants);
    const was = buildDesired(before);
    const keys = changedTenants(now, before) ?? new Set();
    const is = rebuildDesired(now, was, keys);
    const { steps } = partialChange(is, was, keys, context, new Map());
    const wholly = buildDesired(now, new Map(was.tenants.map(({ key, id }) => [key, id])));
    expect([...keys]).toEqual(wantedKeys);
    expect(steps.length).toBeGreaterThan(0);
    expect(steps).toEqual(diff(render(wholly, context), render(was, context)));
  });
});

describe("a page of the policy that a tenant does not want any more", () => {
  const udp = (key: number) => tenant(key, { policy: { inbound: [{ allow: "udp" }] } });
  const deleted = (old: Config, now: Config) => {
    const [was, is] = [buildDesired(old), buildDesired(now)];
    const { steps } = partialChange(is, was, changedTenants(now, old) ?? new Set(), context, new Map());
    return steps.filter((step) => step.kind === "entry.delete" && step.entry.map === "policy_services");
  };

  it("is deleted with the last tenant that did", () => {
    const [old, now] = [configOf([tenant(1), udp(2)]), configOf([tenant(1), tenant(2)])];
    expect(deleted(old, now)).toEqual(
      diff(render(buildDesired(now), context), render(buildDesired(old), context)).filter(
        (step) => step.kind === "entry.delete" && step.entry.map === "policy_services",
      ),
    );
    expect(deleted(old, now).length).toBeGreaterThan(0);
  });

  it("stays where another tenant wants it", () => {
    expect(deleted(configOf([udp(1), udp(2)]), configOf([udp(1), tenant(2)]))).toEqual([]);
  });
});

describe("what only a look at everything can tell", () => {
  it("is a change of the underlay", () => {
    const underlay = { device: "eth0", address: "172.16.0.2" };
    expect(changedTenants(configOf([tenant(1), tenant(2), tenant(3)], { underlay }), before)).toBeUndefined();
  });
});

it("the same config changes no tenant", () => {
  expect(changedTenants(configOf([tenant(1), tenant(2), tenant(3)]), before)?.size).toBe(0);
});
