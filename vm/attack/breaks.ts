/**
 * Gateways that are no boundary, so that it can be seen that the oracle tells. XDP is taken off them, which would do some of
 * what is broken.
 */

import { here } from "../lab/own-namespace.js";
import { instance } from "./site.js";

export interface Break {
  readonly name: string;
  readonly what: string;
  /** Enough for it to be noticed several times. */
  readonly packets: number;
  apply(): Promise<void>;
}

const table = ["ip", `xgw_${instance}`] as const;

export const breaks: readonly Break[] = [
  {
    name: "rules",
    what: "nothing is translated, and everything admitted: the rules of nft are flushed",
    packets: 60,
    apply: async () => void (await here.run("nft", "flush", "table", ...table)),
  },
  {
    name: "policy",
    what: "all that the policies deny is admitted",
    packets: 600,
    apply: async () => {
      for (const chain of ["admit_inbound", "admit_outbound"])
        await here.run("nft", `flush chain ${table.join(" ")} ${chain}; add rule ${table.join(" ")} ${chain} accept`);
    },
  },
  {
    name: "peers",
    what: "tunnelled packets are taken from everybody",
    packets: 600,
    apply: async () => void (await here.run("nft", "flush", "chain", ...table, "judge_gre")),
  },
  {
    name: "rule order",
    what: "tenants' look-ups see the gateway's own addresses first, as the kernel has it by itself",
    packets: 600,
    apply: () => here.ip("rule add pref 0 lookup local").catch(() => {}), // as it is already
  },
  {
    name: "leak",
    what: "a tenant's look-ups go on in the main table where its own has nothing",
    packets: 600,
    apply: async () => {
      const vrfs = [...(await here.run("ip", "-o", "link", "show", "type", "vrf")).matchAll(/\b(xvrf\d+)/g)];
      for (const name of new Set(vrfs.map(([, vrf]) => vrf ?? "")))
        await here.run(
          "sh",
          "-c",
          `ip route del default vrf ${name}; ip route del unreachable default vrf ${name}; true`,
        );
    },
  },
];
