/** A tenant's NAT: what the nft maps have, beside what the config wants. */

import type { ConfigTenant } from "../config/schema.js";
import { type NftElement, readSet, scanSet } from "../kernel/nftables.js";
import type { Range } from "../model/desired.js";
import { formatAddress } from "../model/ipv4.js";
import { sharedSources } from "../model/sources.js";
import { type SetTypes, tableName, typesOfSet } from "../plan/rules.js";
import { mapOf } from "../plan/shares.js";
import { beside } from "./beside.js";
import type { TenantReport } from "./schema.js";

type Nat = TenantReport["nat"];
type PublicIp = Pick<Nat["publicIps"][number], "address" | "to">;
type Forward = Pick<Nat["portForwards"][number], "address" | "protocol" | "port" | "to" | "toPort">;
type Source = Pick<Nat["sources"][number], "from" | "address">;

/** What the config wants of it. */
interface Wanted {
  readonly publicIps: readonly PublicIp[];
  readonly forwards: readonly Forward[];
  readonly sources: readonly Source[];
}

/** @param tenant undefined: the config does not have it */
export const wantedNat = (tenant: ConfigTenant | undefined): Wanted => ({
  publicIps: tenant?.publicIps ?? [],
  forwards: tenant ? wantedForwards(tenant) : [],
  sources: tenant ? wantedSources(tenant) : [],
});

/** @param wanted by the config, if it can be read */
export function readNat(instance: string, zone: number, wanted: Wanted | undefined): Nat {
  const table = tableName(instance);
  const inAll = (set: string) => [...scanSet(table, set, typesOfSet(set) as SetTypes)].flat();
  const inShare = (set: string) => readSet(table, mapOf(set, String(zone)), typesOfSet(set) as SetTypes) ?? [];
  const publicIps = fieldsOf(inAll("dnat_to"), zone).map(([address = "", to = ""]): PublicIp => ({ address, to }));
  const forwards = [...fieldsOf(inShare("forward_range"), zone), ...fieldsOf(inAll("forward_to"), zone)].map(toForward);
  const sources = fieldsOf(inShare("shared_to"), zone).map(([from = "", address = ""]): Source => ({ from, address }));
  return {
    publicIps: beside(wanted?.publicIps, publicIps, ({ address, to }) => `${address} ${to}`),
    portForwards: forwardsBeside(wanted?.forwards, forwards),
    sources: beside(wanted?.sources, sources, ({ from, address }) => `${from} ${address}`),
  };
}

/** Of the zone's elements the words of key and value, without the zone. */
const fieldsOf = (elements: readonly NftElement[], zone: number): string[][] =>
  elements.flatMap(({ key, value }) => {
    const [first, ...words] = key.split(" . ");
    return first === String(zone) ? [[...words, ...value.split(" . ")]] : [];
  });

/** A range keeps its ports, and so has no port in its value. */
function toForward([address = "", protocol = "", ports = "", to = "", toPort]: readonly string[]): Forward {
  const [from = 0, last = from] = ports.split("-").map(Number);
  return {
    address,
    protocol: protocolNames[protocol] ?? protocol,
    port: { from, to: last },
    to,
    toPort: toPort === undefined ? from : Number(toPort),
  };
}

const protocolNames: Readonly<Record<string, string>> = { 6: "tcp", 17: "udp" };

const wantedForwards = ({ portForwards }: ConfigTenant): Forward[] =>
  portForwards.map(({ address, protocol, port, to, toPort }) => ({
    ...{ address, protocol, port: { from: port.from, to: port.to }, to },
    toPort: (toPort ?? port).from,
  }));

function wantedSources({ routes, snat }: ConfigTenant): Source[] {
  if (!snat) return [];
  const span = ({ from, to }: Range) =>
    from === to ? formatAddress(from) : `${formatAddress(from)}-${formatAddress(to)}`;
  return sharedSources(routes, snat.from).map((range) => ({ from: span(range), address: snat.address }));
}

/** A range that leads to other ports is an element a port: one of the config's is there when all of its ports are. Pure. */
export function forwardsBeside(wanted: readonly Forward[] | undefined, found: readonly Forward[]): Nat["portForwards"] {
  if (!wanted) return folded(found).map((one) => ({ ...one, isInKernel: true }));
  const inKernel = new Set(found.flatMap(portIds));
  const known = new Set(wanted.flatMap(portIds));
  const others = found.filter((one) => portIds(one).some((id) => !known.has(id)));
  return [
    ...wanted.map((one) => ({ ...one, isInKernel: portIds(one).every((id) => inKernel.has(id)), isInConfig: true })),
    ...folded(others).map((one) => ({ ...one, isInKernel: true, isInConfig: false })),
  ];
}

const portIds = ({ address, protocol, port, to, toPort }: Forward): string[] =>
  Array.from(
    { length: port.to - port.from + 1 },
    (_, at) => `${address} ${protocol} ${port.from + at} ${to} ${toPort + at}`,
  );

/** Neighbouring ports that lead to neighbouring ones are a range. */
function folded(forwards: readonly Forward[]): Forward[] {
  const ranges: Forward[] = [];
  const sorted = [...forwards].sort((a, b) => hostsOf(a).localeCompare(hostsOf(b)) || a.port.from - b.port.from);
  for (const one of sorted) {
    const last = ranges.at(-1);
    const isNext = last && hostsOf(last) === hostsOf(one) && last.port.to + 1 === one.port.from;
    if (isNext && last.toPort + one.port.from - last.port.from === one.toPort)
      ranges[ranges.length - 1] = { ...last, port: { from: last.port.from, to: one.port.to } };
    else ranges.push(one);
  }
  return ranges;
}

const hostsOf = ({ address, protocol, to }: Forward): string => `${address} ${protocol} ${to}`;
