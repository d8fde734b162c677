/** Checks of the machine's own addresses against those of the config. */

import type { Finding } from "../finding.js";
import type { InterfaceAddress } from "../kernel/rtnetlink.js";
import type { DesiredTenant } from "../model/desired.js";
import { maskOf, type Prefix, parsePrefix } from "../model/ipv4.js";
import { machineAddresses } from "../observe/machine-addresses.js";
import type { Snapshot } from "./snapshot.js";

/** Tenants that a finding names. */
const namedMax = 3;

const machinesAddresses = ({ desired, links, addresses }: Snapshot): InterfaceAddress[] =>
  machineAddresses(desired.instance, links, addresses);

export function underlayAddress(snapshot: Snapshot): Finding[] {
  const { device, address } = snapshot.desired.underlay;
  const owned = machinesAddresses(snapshot);
  const owner = owned.find((one) => one.address === address);
  if (owner) return [];
  const there = owned.filter((one) => one.device === device).map((one) => `${one.address}/${one.prefixLength}`);
  const length = owned.find((one) => one.device === device)?.prefixLength ?? 24;
  return [
    {
      id: "underlay_address_missing",
      severity: "critical",
      subject: address,
      what: `underlay.address ${address} is on no device; ${device} has ${there.join(", ") || "none"}`,
      why: "tunnelled packets to it are not for this machine, and none leaves from it: no tenant has any connection",
      evidence: `ip -4 -br address show to ${address}`,
      remedy: `ip address add ${address}/${length} dev ${device} # or correct the config`,
    },
  ];
}

interface Named {
  readonly tenant: string;
  readonly prefix: Prefix;
}

/** What an address of the machine's takes from tenants that have it, too. */
const collisions: readonly (Pick<Finding, "id" | "severity" | "why"> & {
  readonly of: (tenant: DesiredTenant) => readonly string[];
  readonly what: string;
})[] = [
  {
    id: "endpoint_is_own",
    severity: "critical",
    of: ({ peers }) => peers,
    what: "is a tunnel's far end",
    why: "what is meant for the far end never leaves this machine",
  },
  {
    id: "public_address_is_own",
    severity: "warning",
    of: ({ publicIps, portForwards, snat }) =>
      [...publicIps, ...portForwards, ...(snat ? [snat] : [])].map(({ address }) => address),
    what: "is a public address",
    why: "the machine itself answers under it whatever does not come in by a side of the gateway",
  },
];

/** Also networks, which the machine has its own way to: a tenant's is reached by the tenant's table alone. */
export function overlappingAddresses(snapshot: Snapshot): Finding[] {
  const { tenants } = snapshot.desired;
  const prefixesOf = (of: (tenant: DesiredTenant) => readonly string[]): Named[] =>
    tenants.flatMap((tenant) =>
      [...new Set(of(tenant))].map((text) => ({ tenant: tenant.name, prefix: toPrefix(text) })),
    );
  const exact = collisions.map((collision) => ({ ...collision, named: prefixesOf(collision.of) }));
  const inner = prefixesOf(({ addresses, routes }) => [...addresses, ...routes.map(({ to }) => to)]).filter(
    ({ prefix }) => prefix.length > 0,
  );
  return machinesAddresses(snapshot)
    .filter(({ device }) => device !== "lo")
    .flatMap((own) => [
      ...exact.flatMap(({ named, id, severity, what, why }) => {
        const tenants = tenantsOf(named, (prefix) => overlap(prefix, toPrefix(own.address)));
        return tenants ? [collision(own, { id, severity, why, what: `${what} of ${tenants}` })] : [];
      }),
      ...networkOverlap(own, inner),
    ]);
}

const collision = (
  { device, address, prefixLength }: InterfaceAddress,
  { what, ...rest }: Pick<Finding, "id" | "severity" | "why" | "what">,
): Finding => ({
  ...rest,
  subject: `${device} ${address}`,
  what: `${address} of ${device} ${what}`,
  evidence: `ip -4 -br address show to ${address}`,
  remedy: `ip address del ${address}/${prefixLength} dev ${device} # or correct the config`,
});

function networkOverlap(own: InterfaceAddress, inner: readonly Named[]): Finding[] {
  const { device, address, prefixLength } = own;
  const network = toPrefix(`${address}/${prefixLength}`);
  const tenants = tenantsOf(inner, (prefix) => overlap(prefix, network));
  if (tenants === undefined) return [];
  return [
    {
      id: "address_overlaps",
      severity: "note",
      subject: `${device} ${address}`,
      what: `the network of ${address}/${prefixLength} on ${device} overlaps with one of ${tenants}`,
      why:
        "tenants' packets meet their own tables only; but the machine's own packets to that network go by " +
        `${device}, never to the tenant`,
      evidence: `ip -4 route get ${address}; ip -4 route show root ${address}/${prefixLength}`,
      remedy: `ip -4 -br address show dev ${device} # nothing has to be done; \`ip vrf exec xvrfKEY ping …\` reaches the tenant's`,
    },
  ];
}

/** Those that any of the prefixes is of, in words; undefined where there is none. */
function tenantsOf(named: readonly Named[], isHit: (prefix: Prefix) => boolean): string | undefined {
  const names = [...new Set(named.filter(({ prefix }) => isHit(prefix)).map(({ tenant }) => tenant))];
  if (names.length === 0) return undefined;
  const more = names.length - namedMax;
  const told = names.slice(0, namedMax).join(", ");
  return `tenant${names.length > 1 ? "s" : ""} ${told}${more > 0 ? ` and ${more} more` : ""}`;
}

/** Of what the config has checked, or the kernel says. */
const toPrefix = (text: string): Prefix => parsePrefix(text.includes("/") ? text : `${text}/32`) as Prefix;

const overlap = (a: Prefix, b: Prefix): boolean =>
  ((a.address ^ b.address) & maskOf(Math.min(a.length, b.length))) === 0;
