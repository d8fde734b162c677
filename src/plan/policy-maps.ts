/**
 * The policy for XDP: the cells of which the nft rules' maps are made, as longest-prefix-match tries. Pure.
 *
 * The far side's addresses are cut where anything changes. All services (protocol and port) of one such piece are a page,
 * and the pieces, as prefixes, name their page. A page is named by the hash of what is in it, so equal pages of any
 * tenants are one, and the whole is a plain set of entries that can be compared with what is there. Two look-ups answer
 * for a packet, whatever the policy is.
 */

import { createHash } from "node:crypto";
import type { DesiredTenant, PolicyCell, Range } from "../model/desired.js";
import { formatPrefix } from "../model/ipv4.js";
import {
  assign,
  candidatesOf,
  fewestPrefixes,
  type Node,
  type Prefix,
  prefixesOf,
  type Stretch,
  treeOf,
} from "./prefixes.js";
import { outboundMark, type PolicyDirection, policyMark } from "./rules.js";
import type { DestinationEntry, NetworkEntry, ServiceEntry } from "./state.js";

/** Those that XDP judges: TCP and UDP. All other protocols are the rules' alone. */
const judgedProtocols = [6, 17] as const;

/** A policy that is larger than this in one direction is left to the rules: it would cost more to write than it saves. */
export const maxPolicyEntries = 16_384;

/** Of a service: its protocol's and its port's. */
const serviceBits = 24;
const protocolBits = 8;
const portBits = 16;

/** Marks by port, per judged protocol, ordered and disjoint. */
type Services = readonly (readonly Stretch<number>[])[];

const noServices: Services = judgedProtocols.map(() => []);

/** Names of the pages that a tenant's policy has brought. */
const pagesOfTenants = new WeakMap<DesiredTenant, ReadonlySet<string>>();

/** Worked out once for each tenant, most often with the networks. */
export function pagesOf(tenant: DesiredTenant): ReadonlySet<string> {
  if (!pagesOfTenants.has(tenant)) new PolicyPages().networksOf(tenant);
  return pagesOfTenants.get(tenant) ?? new Set();
}

/** The pages of all tenants, each once. */
export class PolicyPages {
  private readonly pages = new Map<string, readonly ServiceEntry[]>();
  private readonly names = new Map<string, string>();
  private ofTenant = new Set<string>();

  /** The networks of a tenant's policy, whose pages are added; undefined when it is too large for the maps. */
  networksOf(tenant: DesiredTenant): NetworkEntry[] | undefined {
    const { id, inbound, outbound } = tenant;
    this.ofTenant = new Set();
    const both = [this.networksIn(id, "inbound", inbound), this.networksIn(id, "outbound", outbound)];
    pagesOfTenants.set(tenant, this.ofTenant);
    return both.some((networks) => networks === undefined) ? undefined : both.flatMap((networks) => networks ?? []);
  }

  entries(): ServiceEntry[] {
    return [...this.pages.values()].flat();
  }

  private networksIn(
    tenant: number,
    direction: PolicyDirection,
    cells: readonly PolicyCell[],
  ): NetworkEntry[] | undefined {
    const pieces = cut(direction, cells);
    if (!pieces) return undefined;
    const denied = this.nameOf(direction, noServices);
    const named = pieces.map(({ address, services }) => ({ range: address, value: this.nameOf(direction, services) }));
    return fewestPrefixes(named, 32, denied).map(({ from, bits, value }) => ({
      map: "policy_networks",
      tenant,
      direction,
      prefix: formatPrefix({ address: from, length: bits }),
      page: value,
    }));
  }

  private nameOf(direction: PolicyDirection, services: Services): string {
    const name = this.ownNameOf(direction, services);
    this.ofTenant.add(name);
    return name;
  }

  /** Two pages whose hashes are equal, which is hardly to be seen, get names of their own. */
  private ownNameOf(direction: PolicyDirection, services: Services): string {
    const text = `${direction} ${JSON.stringify(services)}`;
    const known = this.names.get(text);
    if (known !== undefined) return known;
    let name: string;
    for (let salt = 0; ; salt++) {
      name = createHash("sha256")
        .update(salt === 0 ? text : `${salt} ${text}`)
        .digest("hex")
        .slice(0, 16);
      if (!this.pages.has(name)) break;
    }
    this.names.set(text, name);
    this.pages.set(name, serviceEntries(name, direction, services));
    return name;
  }
}

/** What the rules' DNAT does, which decides the direction of a new connection, and the port that the policy judges. */
export function destinationEntries({ id, publicIps, portForwards }: DesiredTenant): DestinationEntry[] {
  const entry = (address: string, service: Omit<Prefix<never>, "value">, protocol: number, to: string, toPort = 0) =>
    ({
      map: "destinations",
      tenant: id,
      address,
      protocol,
      port: service.from,
      bits: service.bits,
      to,
      toPort,
    }) as const;
  const anyService = { from: 0, bits: 0 };
  return [
    ...publicIps.map(({ address, to }) => entry(address, anyService, 0, to)),
    ...portForwards.flatMap(({ address, protocol, ports, to, toPort }) => {
      if (ports.from === toPort)
        return prefixesOf(ports, portBits).map(({ from, bits }) =>
          entry(address, { from, bits: protocolBits + bits }, protocol, to),
        );
      return Array.from({ length: ports.to - ports.from + 1 }, (_, at) =>
        entry(address, { from: ports.from + at, bits: serviceBits }, protocol, to, toPort + at),
      );
    }),
  ];
}

/** A stretch of addresses with the same services everywhere. */
interface Piece {
  readonly address: Range;
  readonly services: Services;
}

/** Addresses that no cell is about have no piece. Undefined when it comes to too much. */
function cut(direction: PolicyDirection, cells: readonly PolicyCell[]): Piece[] | undefined {
  const judged = cells.filter((cell) => judgedProtocols.some((protocol) => includes(cell.protocol, protocol)));
  const starts = [...new Set(judged.flatMap(({ address }) => [address.from, address.to + 1]))].sort((a, b) => a - b);
  const byStart = [...judged].sort((a, b) => a.address.from - b.address.from);
  const pieces: (Piece & { readonly text: string })[] = [];
  let open: PolicyCell[] = [];
  let next = 0;
  let size = 0;
  for (const [at, from] of starts.slice(0, -1).entries()) {
    open = open.filter(({ address }) => address.to >= from);
    for (let cell = byStart[next]; cell?.address.from === from; cell = byStart[++next]) open.push(cell);
    if (open.length === 0) continue;
    size += open.length;
    if (size > maxPolicyEntries) return undefined;
    const address = { from, to: (starts[at + 1] as number) - 1 };
    const services = servicesOf(direction, open);
    const text = JSON.stringify(services);
    const before = pieces.at(-1);
    if (before && before.text === text && before.address.to + 1 === from)
      pieces[pieces.length - 1] = { ...before, address: { from: before.address.from, to: address.to } };
    else pieces.push({ address, services, text });
  }
  return pieces;
}

const includes = (range: Range, value: number) => range.from <= value && value <= range.to;

function servicesOf(direction: PolicyDirection, cells: readonly PolicyCell[]): Services {
  return judgedProtocols.map((protocol) => {
    const mine = cells
      .filter((cell) => includes(cell.protocol, protocol))
      .map((cell) => ({ range: cell.port, value: policyMark(direction, cell) }))
      .sort((a, b) => a.range.from - b.range.from);
    const joined: Stretch<number>[] = [];
    for (const { range, value } of mine) {
      const before = joined.at(-1);
      if (before?.value === value && before.range.to + 1 === range.from)
        joined[joined.length - 1] = { value, range: { from: before.range.from, to: range.to } };
      else joined.push({ range, value });
    }
    return joined;
  });
}

/** What no rule matches has a mark without rule where a wider prefix has to be taken back; protocols not judged have any. */
function serviceEntries(page: string, direction: PolicyDirection, services: Services): ServiceEntry[] {
  const noRule = direction === "outbound" ? outboundMark : 0;
  const trees = services.map((stretches) => treeOf(stretches, portBits, noRule));
  const root: Node<number> = { from: 0, bits: 0, candidates: candidatesOf(trees), children: [] };
  const whole = assign(root, noRule);
  const inForce = whole[0]?.value ?? noRule;
  const entry = (protocol: number, port: number, bits: number, mark: number): ServiceEntry => ({
    map: "policy_services",
    page,
    protocol,
    port,
    bits,
    mark,
  });
  return [
    ...whole.map(({ value }) => entry(0, 0, 0, value)),
    ...trees.flatMap((tree, at) =>
      assign(tree, inForce).map(({ from, bits, value }) =>
        entry(judgedProtocols[at] as number, from, protocolBits + bits, value),
      ),
    ),
  ];
}

/** The bits of a service as the tries have them. */
export const serviceWord = (protocol: number, port: number) => ((protocol << 24) | (port << 8)) >>> 0;
