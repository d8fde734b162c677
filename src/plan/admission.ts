/**
 * Which connections the nft rules would still admit, judged from the elements of the rules' maps, which are all that the
 * rules know of a tenant. Pure.
 */

import type { Range } from "../model/desired.js";
import { parseAddress } from "../model/ipv4.js";
import { deniedMark, outboundMark } from "./rules.js";
import type { Element } from "./state.js";

export interface ConnectionTuple {
  /** Dotted quads. */
  readonly source: string;
  readonly destination: string;
  /** 0 where the protocol has no ports. */
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** A connection as conntrack has it. */
export interface Connection {
  /** The tenant's id. */
  readonly zone: number;
  /** IP protocol number. */
  readonly protocol: number;
  readonly original: ConnectionTuple;
  readonly reply: ConnectionTuple;
  /** Says by which rule it was admitted; 0 for one that no rule had to admit, such as to the gateway itself. */
  readonly mark: number;
}

interface Cell {
  readonly protocol: Range;
  readonly address: Range;
  readonly port: Range;
}

/** Ports of a public address that lead to the same ports of the tenant's. */
interface ForwardRange {
  /** `address . protocol`. */
  readonly name: string;
  readonly ports: Range;
  readonly to: string;
}

/** Sources that leave under one public address. */
interface Shared {
  readonly sources: Range;
  readonly address: string;
}

/** What one tenant's elements admit. */
export interface Admission {
  /** Public address to the tenant's. */
  readonly dnat: ReadonlyMap<string, string>;
  /** `address . protocol . port` to `address . port`. */
  readonly forwards: ReadonlyMap<string, string>;
  readonly forwardRanges: readonly ForwardRange[];
  readonly snat: ReadonlyMap<string, string>;
  readonly shared: readonly Shared[];
  readonly inbound: readonly Cell[];
  readonly outbound: readonly Cell[];
}

/** Sets whose elements decide which connections are admitted, and how; each keyed by the zone first. */
export const admissionSets: readonly string[] = [
  "dnat_to",
  "forward_to",
  "forward_range",
  "snat_to",
  "shared_to",
  "inbound",
  "outbound",
];

/** Of these tenants; elements of others are passed over. */
export function admissionsOf(elements: Iterable<Element>, tenants: ReadonlySet<number>): Map<number, Admission> {
  const admissions = new Map(
    [...tenants].map((tenant) => [
      tenant,
      {
        dnat: new Map<string, string>(),
        forwards: new Map<string, string>(),
        forwardRanges: [] as ForwardRange[],
        snat: new Map<string, string>(),
        shared: [] as Shared[],
        inbound: [] as Cell[],
        outbound: [] as Cell[],
      },
    ]),
  );
  for (const { set, key, value } of elements) {
    const at = key.indexOf(" . ");
    const admission = at < 0 ? undefined : admissions.get(Number(key.slice(0, at)));
    if (!admission) continue;
    const rest = key.slice(at + 3);
    if (set === "dnat_to") admission.dnat.set(rest, value);
    else if (set === "snat_to") admission.snat.set(rest, value);
    else if (set === "forward_to") admission.forwards.set(rest, value);
    else if (set === "forward_range") admission.forwardRanges.push(parseForwardRange(rest, value));
    else if (set === "shared_to") admission.shared.push({ sources: parseRange(rest, toNumber), address: value });
    else if ((set === "inbound" || set === "outbound") && Number(value) < deniedMark)
      admission[set].push(parseCell(rest));
  }
  return admissions;
}

function parseCell(key: string): Cell {
  const [protocol = "", address = "", port = ""] = key.split(" . ");
  return {
    protocol: parseRange(protocol, Number),
    address: parseRange(address, toNumber),
    port: parseRange(port, Number),
  };
}

function parseForwardRange(key: string, to: string): ForwardRange {
  const at = key.lastIndexOf(" . ");
  return { name: key.slice(0, at), ports: parseRange(key.slice(at + 3), Number), to };
}

const toNumber = (address: string) => parseAddress(address) ?? -1;

function parseRange(text: string, parse: (text: string) => number): Range {
  const [from = "", to = from] = text.split("-");
  return { from: parse(from), to: parse(to) };
}

/**
 * Whether the rules would admit the connection now, with the translation that it has. A translation that came later takes
 * nothing away from a connection without one.
 */
export function isAdmitted(admission: Admission, connection: Connection): boolean {
  const { protocol, original, reply, mark } = connection;
  if (mark === 0) return true;
  if (isDnated(connection) && dnatOf(admission, connection) !== `${reply.source} . ${reply.sourcePort}`) return false;
  if (reply.destination !== original.source && snatOf(admission, original.source) !== reply.destination) return false;
  const isOutbound = (mark & outboundMark) !== 0;
  const cells = isOutbound ? admission.outbound : admission.inbound;
  const address = toNumber(isOutbound ? reply.source : original.source);
  return cells.some(
    (cell) =>
      includes(cell.protocol, protocol) && includes(cell.address, address) && includes(cell.port, reply.sourcePort),
  );
}

const includes = (range: Range, value: number) => range.from <= value && value <= range.to;

function isDnated({ original, reply }: Connection): boolean {
  return reply.source !== original.destination || reply.sourcePort !== original.destinationPort;
}

/** Where the rules would send it now, as `address . port`; port forwards come first, as in the rules. */
function dnatOf({ forwards, forwardRanges, dnat }: Admission, { protocol, original }: Connection): string | undefined {
  const { destination, destinationPort } = original;
  const forward = forwards.get(`${destination} . ${protocol} . ${destinationPort}`);
  if (forward !== undefined) return forward;
  const name = `${destination} . ${protocol}`;
  const range = forwardRanges.find((range) => range.name === name && includes(range.ports, destinationPort));
  const to = range?.to ?? dnat.get(destination);
  return to === undefined ? undefined : `${to} . ${destinationPort}`;
}

/** Under which public address the rules would let it leave now; one of its own comes first, as in the rules. */
function snatOf({ snat, shared }: Admission, source: string): string | undefined {
  return snat.get(source) ?? shared.find(({ sources }) => includes(sources, toNumber(source)))?.address;
}
