/** Checks of other people's packet filters, which hold for tenants' packets as well. */

import type { Finding } from "../finding.js";
import type { DroppingChain, HookName } from "../kernel/base-chains.js";
import type { Snapshot } from "./snapshot.js";

/** `meta iifname "xvrf*"`, or iptables' `-i xvrf+`, as the kernel has it. */
const tenantsDevices = Buffer.from("xvrf");
/** A comparison with one byte of 47, GRE's number: `ip protocol gre`, or iptables' `-p gre` (NFTA_DATA_VALUE). */
const comparedWithGre = Buffer.from([5, 0, 1, 0, 47]);
const ours = /^xgw_/;

/** Tunnelled packets, and what is in them, meet these. Those of the tunnels are the machine's own. */
const meets: Readonly<Record<HookName, { readonly inner: boolean; readonly outer: boolean }>> = {
  prerouting: { inner: true, outer: true },
  input: { inner: false, outer: true },
  forward: { inner: true, outer: false },
  output: { inner: false, outer: true },
  postrouting: { inner: true, outer: true },
};

/** One that names tenants' devices, or GRE, in some rule is taken to let them pass. */
export function droppingChains({ desired, droppingChains }: Snapshot): Finding[] {
  const underlay = Buffer.from(`${desired.underlay.device}\0`);
  return droppingChains.flatMap((chain) => {
    if (ours.test(chain.table)) return [];
    const { inner, outer } = meets[chain.hook];
    const dropsInner = inner && !chain.rules.includes(tenantsDevices);
    const dropsOuter = outer && !chain.rules.includes(comparedWithGre) && !chain.rules.includes(underlay);
    if (!dropsInner && !dropsOuter) return [];
    return [droppingChain(chain, dropsInner, dropsOuter, desired.underlay.device)];
  });
}

function droppingChain(
  { family, table, chain, hook }: DroppingChain,
  dropsInner: boolean,
  dropsOuter: boolean,
  underlay: string,
): Finding {
  const path = `${family} ${table} ${chain}`;
  const into = hook === "forward" && chain === "FORWARD" ? `${family} ${table} DOCKER-USER` : path;
  const [device, docker] = [hook === "output" || hook === "postrouting" ? "oifname" : "iifname", into !== path];
  const rules = [
    ...(dropsInner ? [`nft insert rule ${path} ${hook === "postrouting" ? "oifname" : "iifname"} "xvrf*" accept`] : []),
    ...(dropsOuter ? [`nft insert rule ${path} ${device} ${underlay} ip protocol gre accept`] : []),
  ];
  const what = [...(dropsInner ? ["tenants' packets"] : []), ...(dropsOuter ? ["tunnelled packets"] : [])].join(
    " and ",
  );
  return {
    id: "foreign_drop",
    // A set of protocols may let GRE pass, which cannot be seen from here.
    severity: dropsInner ? "critical" : "warning",
    subject: path,
    what: `chain ${chain} of the table ${family} ${table} drops what no rule lets through (hook ${hook})`,
    why: `no rule of the table names ${dropsInner ? "xvrf devices" : "GRE or the underlay's device"}, so that ${what} are dropped there, uncounted`,
    evidence: `nft list chain ${path}`,
    remedy: `${rules.join(" && ")}${docker ? " # with Docker, better into its chain DOCKER-USER, which it keeps" : ""}`,
  };
}

/** What they do cannot be seen by netlink. */
export function legacyTables({ legacyTables }: Snapshot): Finding[] {
  if (!legacyTables.includes("filter")) return [];
  return [
    {
      id: "legacy_filter",
      severity: "note",
      subject: "",
      what: "iptables-legacy has a filter table, which xgw cannot look into",
      why: "a policy of DROP of its chain FORWARD, or INPUT, would hold for tenants' and tunnelled packets as well",
      evidence: "iptables-legacy -S",
      remedy:
        "iptables-legacy -I FORWARD -i xvrf+ -j ACCEPT && iptables-legacy -I INPUT -p gre -j ACCEPT # if it drops",
    },
  ];
}
