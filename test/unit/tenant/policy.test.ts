import { describe, expect, it } from "vitest";
import { noTiers } from "../../../src/datapath/accounting.js";
import { policyOf } from "../../../src/tenant/policy.js";

const xdp = (packets: number) => ({ ...noTiers, xdp: { packets, bytes: 100 * packets } });
const none = { xdp: [], nft: [] };
const noNames = () => ({});

describe("the policy", () => {
  it("has a rule of an earlier config that has counted", () => {
    const policy = policyOf(7, undefined, [{ mark: 5, tiers: xdp(3) }], none, noNames);
    expect(policy.inbound.rules).toMatchObject([{ rule: 4, xdp: { packets: 3 } }]);
  });

  it("counts what no rule had to admit beside the rules", () => {
    const policy = policyOf(7, undefined, [{ mark: 0, tiers: xdp(3) }], none, noNames);
    expect([policy.withoutRule.xdp.packets, policy.inbound.rules, policy.outbound.rules]).toEqual([3, [], []]);
  });

  it("tells the directions of rules with one number apart", () => {
    const forwarded = [
      { mark: 1, tiers: xdp(3) },
      { mark: 0x1_0001, tiers: xdp(8) },
    ];
    const { inbound, outbound } = policyOf(7, undefined, forwarded, none, noNames);
    expect([inbound, outbound].map(({ rules }) => rules.map((rule) => rule.xdp.packets))).toEqual([[3], [8]]);
  });

  it("has a rule that has only denied", () => {
    const denial = { direction: "outbound", rule: 2, packets: 4, bytes: 240 } as const;
    const { outbound } = policyOf(7, undefined, [], { xdp: [denial], nft: [] }, noNames);
    expect(outbound.rules).toMatchObject([{ rule: 2, denied: { xdp: { packets: 4 }, nft: { packets: 0 } } }]);
  });
});
