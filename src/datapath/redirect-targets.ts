/**
 * Which NICs send what XDP redirects to them. A driver that does not says so by the lack of NETDEV_XDP_ACT_NDO_XMIT
 * (linux/netdev.h), and what is redirected to it all the same is lost. Flows that leave by such a NIC are left to the kernel.
 */

import { queryXdp } from "libbpf-ts";
import type { Finding } from "../finding.js";
import type { Link } from "../kernel/rtnetlink.js";
import type { Desired, DesiredNic } from "../model/desired.js";
import type { DeviceNames } from "./layout.js";

const NETDEV_XDP_ACT_NDO_XMIT = 1n << 2n;

/** What the kernel tells of a NIC. */
export type NicFeatures = Pick<ReturnType<typeof queryXdp>, "featureFlags" | "mode">;

export interface RedirectTargets {
  readonly targets: readonly string[];
  /** About those that flows would leave by if they could. */
  readonly findings: readonly Finding[];
}

/** Of these kinds XDP_TX sends as a redirect does: a veth to its peer, a bond by any of its members. */
const sendsAlike: readonly (string | undefined)[] = ["veth", "bond"];

const sendsAlikeNative = ({ xdp }: DesiredNic, link: Link | undefined) =>
  xdp !== "generic" && sendsAlike.includes(link?.kind);

/** Whether a NIC is of a kind by which also what came in by it must be redirected. */
export function txIsRedirect({ nics }: Desired, links: readonly Link[]): boolean {
  const byName = new Map(links.map((link) => [link.name, link]));
  return nics.some((nic) => sendsAlikeNative(nic, byName.get(nic.name)));
}

export function observeRedirectTargets(desired: Desired, links: readonly Link[], names: DeviceNames): RedirectTargets {
  return redirectTargets(desired, links, (nic) => queryXdp(names.indexOf(nic)));
}

/** Generic XDP on the NIC that a packet comes in by sends it as the stack does, by any NIC. */
export function redirectTargets(
  { nics }: Desired,
  links: readonly Link[],
  featuresOf: (nic: string) => NicFeatures,
): RedirectTargets {
  const byName = new Map(links.map((link) => [link.name, link]));
  const unable = nics.filter((nic) => {
    const link = byName.get(nic.name);
    const isAsked = sendsAlikeNative(nic, link) || nics.some((other) => other !== nic && other.xdp !== "generic");
    return isAsked && !canSend(nic, link, featuresOf(nic.name));
  });
  return {
    targets: nics.filter((nic) => !unable.includes(nic)).map(({ name }) => name),
    findings: unable.map((nic) => finding(nic, byName.get(nic.name))),
  };
}

/** Many drivers can once they run a program: until then, nothing is sent by XDP, and they are believed to. A veth asks its peer. */
function canSend({ xdp }: DesiredNic, link: Link | undefined, { featureFlags, mode }: NicFeatures): boolean {
  if ((featureFlags & NETDEV_XDP_ACT_NDO_XMIT) !== 0n) return true;
  return link?.kind !== "veth" && xdp !== "generic" && mode === undefined;
}

function finding({ name, xdp }: DesiredNic, link: Link | undefined): Finding {
  const reload = "xgw validate && xgw apply";
  const remedy =
    link?.kind === "veth"
      ? "ethtool -K PEER gro on # at its peer; or run an XDP program there"
      : xdp === "generic"
        ? `${reload} # with \`xdp: native\` for it in the config, or \`xdp: generic\` for all`
        : `${reload} # with \`xdp: generic\` for all NICs in the config, or a NIC that can`;
  return {
    id: "redirects_not_sent",
    severity: "warning",
    subject: name,
    what: `NIC ${name} does not send what XDP redirects to it`,
    why: "flows that leave by it are left to the kernel",
    evidence: `ip -d link show dev ${name}; ethtool -i ${name}`,
    remedy,
  };
}
