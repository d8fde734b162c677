import { describe, expect, it } from "vitest";
import { configSchema } from "../../../src/config/schema.js";
import { describeRule } from "../../../src/model/rule-name.js";

function nameOf(direction: "inbound" | "outbound", rule: object): string {
  const tenant = { name: "user1", key: 1000, policy: { [direction]: [rule] } };
  const underlay = { device: "eth0", address: "172.168.0.1" };
  const config = configSchema.parse({ apiVersion: "xgw/v1", underlay, tenants: [tenant] });
  const [parsed] = config.tenants[0]?.policy[direction] ?? [];
  if (!parsed) throw new Error("the config has no rule");
  return describeRule(parsed, direction);
}

describe("a rule is called what the config says", () => {
  for (const [direction, rule, name] of [
    ["inbound", { allow: "tcp", ports: [22] }, "allow tcp 22"],
    [
      "inbound",
      { allow: "udp", ports: [53, "8000-8100"], from: "192.0.2.0/24" },
      "allow udp 53, 8000-8100 from 192.0.2.0/24",
    ],
    ["inbound", { allow: "icmp", from: "192.0.2.7/32" }, "allow icmp from 192.0.2.7"],
    ["outbound", { deny: "tcp", to: "128.0.0.0/1" }, "deny tcp to 128.0.0.0/1"],
    ["outbound", { allow: "any" }, "allow any"],
    ["outbound", { allow: 47 }, "allow protocol 47"],
  ] as const)
    it(name, () => expect(nameOf(direction, rule)).toBe(name));
});
