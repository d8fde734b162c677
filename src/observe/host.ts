/** What the machine's own settings open to others once it is a gateway. xgw leaves them to the operator, and says so. */

import type { Finding } from "../finding.js";
import { type InterfaceAddress, type Link, linkNames, readAddresses } from "../kernel/rtnetlink.js";
import { readSysctl } from "../kernel/sysctl.js";
import type { Desired } from "../model/desired.js";
import { forwarding, reversePathOfAll } from "../plan/sysctls.js";
import { isOurs } from "./slow-path.js";

export function hostFindings(desired: Desired, links: readonly Link[]): Finding[] {
  const becomesRouter = readSysctl(forwarding) === "0";
  const reachable = becomesRouter ? reachableDevices(desired, links, readAddresses(linkNames(links))) : [];
  return [
    ...(reachable.length > 0 ? [routerFinding(reachable)] : []),
    ...servingProtocols().map(servingFinding),
    ...(readSysctl(bridgedIsJudged) === "1" ? bridgedSides(desired, links).map(bridgeFinding) : []),
    ...overridingFindings(readSysctl),
  ];
}

/** What a bridge sends from port to port then passes the rules for what is forwarded, and Docker sets it. */
const bridgedIsJudged = "net.bridge.bridge-nf-call-iptables";

/** The sides that are bridges, with ports of other people's. */
export function bridgedSides({ underlay, uplink, nics }: Desired, links: readonly Link[]): string[] {
  const sides = new Set([underlay.device, uplink?.device, ...nics.map(({ name }) => name)]);
  return links.filter(({ name, kind }) => kind === "bridge" && sides.has(name)).map(({ name }) => name);
}

const bridgeFinding = (bridge: string): Finding => ({
  id: "bridge_is_judged",
  severity: "warning",
  subject: bridge,
  what: `${bridgedIsJudged} is 1, and ${bridge} is a bridge`,
  why: "what it bridges between its ports is dropped as `crossed`, other people's traffic, too",
  evidence: `sysctl ${bridgedIsJudged}; bridge link show master ${bridge}`,
  remedy: `sysctl ${bridgedIsJudged}=0`,
});

/** Settings for all devices that hold whatever a device's own says, and which of their values do harm. */
const overriding: readonly (Pick<Finding, "id" | "severity" | "why"> & {
  readonly name: string;
  readonly harmful: readonly string[];
})[] = [
  {
    id: "reverse_path_filter",
    severity: "warning",
    name: reversePathOfAll,
    harmful: ["1", "2"],
    why:
      "what comes out of a tunnel from where the tenant has no route is dropped before it is judged, such as what a router on " +
      "the way says of a path's MTU; devices that xgw does not set may drop more",
  },
  {
    id: "arp_ignored",
    severity: "critical",
    name: "net.ipv4.conf.all.arp_ignore",
    harmful: ["8"],
    why: "the gateway answers nobody who asks for its addresses by ARP, tenants included",
  },
];

/** @param read the value of a setting */
export const overridingFindings = (read: (name: string) => string | undefined): Finding[] =>
  overriding.flatMap(({ name, harmful, ...finding }) => {
    const value = read(name);
    if (value === undefined || !harmful.includes(value)) return [];
    return [
      {
        ...finding,
        subject: name,
        what: `${name} is ${value}`,
        evidence: `sysctl ${name}`,
        remedy: `sysctl ${name}=0`,
      },
    ];
  });

/** Devices with addresses that are no side of the gateway's, and in no VRF. */
export function reachableDevices(
  { instance, underlay, uplink, nics }: Desired,
  links: readonly Link[],
  addresses: readonly Pick<InterfaceAddress, "device">[],
): string[] {
  const sides = new Set([underlay.device, uplink?.device, ...nics.map(({ name }) => name)]);
  const vrfs = new Set(links.flatMap(({ name, vrf }) => (vrf ? [name] : [])));
  const addressed = new Set(addresses.map(({ device }) => device));
  return links
    .filter((link) => !isOurs(instance, link) && !vrfs.has(link.master ?? link.name) && !sides.has(link.name))
    .map(({ name }) => name)
    .filter((name) => name !== "lo" && addressed.has(name));
}

const routerFinding = (devices: readonly string[]): Finding => ({
  id: "becomes_router",
  severity: "note",
  subject: "",
  what: `${forwarding} is 0 and becomes 1`,
  why:
    `the networks of ${devices.join(", ")} can then be reached through this machine from the underlay and the uplink, and ` +
    "these from there",
  evidence: `sysctl ${forwarding}; ip -br address`,
  remedy:
    `nft add rule inet filter forward iifname ${devices[0]} drop # where that must not be, in a table of your own, and the ` +
    "same with oifname",
});

const servingProtocols = () => (["tcp", "udp"] as const).filter((protocol) => readSysctl(settingOf(protocol)) === "1");

const settingOf = (protocol: "tcp" | "udp") => `net.ipv4.${protocol}_l3mdev_accept`;

const servingFinding = (protocol: "tcp" | "udp"): Finding => ({
  id: "serves_tenants",
  severity: "warning",
  subject: settingOf(protocol),
  what: `${settingOf(protocol)} is 1`,
  why:
    `what listens on all addresses of the machine by ${protocol.toUpperCase()} serves every tenant on the gateway's ` +
    "addresses inside it",
  evidence: `sysctl ${settingOf(protocol)}; ss -ln --${protocol}`,
  remedy: `sysctl ${settingOf(protocol)}=0 # and start what shall serve a tenant in its VRF: ip vrf exec`,
});
