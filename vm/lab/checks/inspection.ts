/** What `xgw prog`, `map`, `link` and `net` tell of a gateway that has tenants. */

import type { Check } from "../check.js";

interface Own {
  readonly xgw: { readonly tenant?: string; readonly device?: string; readonly value: { readonly tenant?: string } };
}

export const inspected: Check = {
  id: "inspected",
  title: "`xgw link show` and `xgw map dump`",
  wanted: "name the tenants of tunnels, of flows and of tunnel endpoints; a tenant's name finds its endpoint",
  async run({ xgw }) {
    const list = async (...words: [string, ...string[]]) => JSON.parse((await xgw.run(...words, "-j")).stdout) as Own[];
    const tunnels = (await list("link", "show")).filter(({ xgw: own }) => own.device?.startsWith("xgre"));
    const ofTunnels = new Set(tunnels.map(({ xgw: own }) => own.tenant));
    const ofFlows = new Set((await list("map", "dump", "flows")).map(({ xgw: own }) => own.value.tenant));
    const looked = await xgw.run("map", "lookup", "endpoints", "user1", "10.0.0.7", "-j");
    const endpoint = (JSON.parse(looked.stdout) as { xgw?: { value: unknown } } | null)?.xgw?.value;
    const areNamed = [...ofTunnels, ...ofFlows].every((tenant) => tenant === "user1" || tenant === "user2");
    return {
      ok: areNamed && ofTunnels.size === 2 && ofFlows.size > 0 && endpoint === "172.168.0.11",
      seen: `tunnels of ${[...ofTunnels]}; flows of ${[...ofFlows]}; user1's 10.0.0.7 is behind ${endpoint}`,
    };
  },
};
