/**
 * Gateways that are no boundary, so that it can be seen that the oracle tells. XDP is taken off them, which would do some of
 * what is broken. Where one fence stands behind another, both are taken away.
 */

import type { DesiredTenant } from "../../src/model/desired.js";
import { parseAddress } from "../../src/model/ipv4.js";
import { here } from "../lab/own-namespace.js";
import { type AttackSite, bystanders, instance, sideOf } from "./site.js";

export interface Break {
  readonly name: string;
  readonly what: string;
  /** Until it must have been noticed. */
  readonly packets: number;
  apply(site: AttackSite, tenants: readonly DesiredTenant[]): Promise<void>;
}

const table = `xgw_${instance}`;
const nft = async (...commands: string[]) => void (await here.run("nft", commands.join("; ")));

/** Runs an `ip` command for the VRF of each tenant; there may be nothing to delete. */
async function forEachVrf(command: string): Promise<void> {
  const vrfs = [...(await here.run("ip", "-o", "link", "show", "type", "vrf")).matchAll(/\b(xvrf\d+)/g)];
  for (const name of new Set(vrfs.map(([, vrf]) => vrf ?? "")))
    await here.run("sh", "-c", `ip ${command} vrf ${name}; true`);
}

export const breaks: readonly Break[] = [
  {
    name: "rules",
    what: "nothing is translated, and everything admitted: the rules of nft are flushed",
    packets: 600,
    apply: () => nft(`flush table ip ${table}`),
  },
  {
    name: "policy",
    what: "all that the policies deny is admitted",
    packets: 2000,
    apply: () =>
      nft(
        ...["admit_inbound", "admit_outbound"].flatMap((chain) => [
          `flush chain ip ${table} ${chain}`,
          `add rule ip ${table} ${chain} accept`,
        ]),
      ),
  },
  {
    name: "peers",
    what: "tunnelled packets are taken from everybody",
    packets: 2000,
    apply: () => nft(`flush chain ip ${table} judge_gre`),
  },
  {
    name: "a peer",
    what: "one host of the underlay too many is a peer of one tenant",
    packets: 6000,
    apply: async (site, [victim]) => {
      const device = sideOf(site, "underlay")?.device;
      await nft(
        `add element ip ${table} gre_peers { "${device}" . ${parseAddress(bystanders[0] ?? "")} . ${victim?.key} : ${victim?.id} }`,
      );
    },
  },
  {
    name: "rule order",
    what: "tenants' look-ups see the gateway's own addresses first, as the kernel has it by itself",
    packets: 2000,
    apply: () => here.ip("rule del pref 0 l3mdev").catch(() => {}), // as it is already
  },
  {
    name: "leak",
    what: "a tenant's look-ups go on in the main table where its own has nothing",
    packets: 2000,
    apply: async () => {
      await forEachVrf("route del default");
      await forEachVrf("route del unreachable default");
    },
  },
  {
    name: "IPv6",
    what: "tenants' IPv6 is refused by no rule, and looked up in the main table",
    packets: 2000,
    apply: async () => {
      await nft(`flush table ip6 ${table}`);
      await forEachVrf("-6 route del unreachable default");
    },
  },
  {
    name: "between sides",
    what: "what is no tenant's is forwarded between underlay and uplink",
    packets: 2000,
    apply: () => nft(`flush chain ip ${table} between_sides`),
  },
  {
    name: "sources",
    what: "a tenant may use one public address of another's, and who sends in whose name is not looked at",
    packets: 6000,
    apply: async (site, [thief, owner]) => {
      const [device, address] = [sideOf(site, "uplink")?.device, owner?.publicIps[0]?.address];
      await nft(
        `flush chain ip ${table} judge_source`,
        `add element ip ${table} uplink_sources { ${thief?.id} . "${device}" . ${address} }`,
      );
    },
  },
];
