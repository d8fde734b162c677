/** What a config says of a tenant: where its networks are, what its addresses stand for, and which connections may begin. */

import type { ConfigInput } from "../../src/config/schema.js";
import type { TenantInput } from "./site.js";

/** What names a connection. Ports are 0 where the protocol has none; of ICMP they are the identifier. */
export interface Tuple {
  readonly protocol: number;
  readonly src: string;
  readonly sport: number;
  readonly dst: string;
  readonly dport: number;
}

export interface Network {
  readonly base: number;
  readonly length: number;
}

const number = (address: string) => Buffer.from(address.split(".").map(Number)).readUInt32BE(0);

function networkOf(text: string): Network {
  const [address = "", length = "32"] = text.split("/");
  return { base: number(address), length: Number(length) };
}

const contains = ({ base, length }: Network, address: string) =>
  length === 0 || (base ^ number(address)) >>> (32 - length) === 0;

const privateNetworks = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"].map(networkOf);

/** RFC 1918 and RFC 6598. */
export const isPrivate = (address: string): boolean => privateNetworks.some((network) => contains(network, address));

/** `8000`, or `8000-8100`. */
function portsOf(text: number | string): readonly [from: number, to: number] {
  const [from = 0, to = from] = String(text).split("-").map(Number);
  return [from, to];
}

const protocolNumbers: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17 };

interface RuleInput {
  readonly allow?: string | number | undefined;
  readonly deny?: string | number | undefined;
  readonly ports?: readonly (number | string)[] | undefined;
  readonly far?: string | undefined;
}

/** The first rule that matches decides; what none matches is denied. */
function admits(rules: readonly RuleInput[], protocol: number, far: string, dport: number): boolean {
  for (const { allow, deny, ports, far: network } of rules) {
    const word = allow ?? deny ?? "any";
    if (word !== "any" && (protocolNumbers[word] ?? Number(word)) !== protocol) continue;
    if (network !== undefined && !contains(networkOf(network), far)) continue;
    if (ports && !ports.some((range) => dport >= portsOf(range)[0] && dport <= portsOf(range)[1])) continue;
    return allow !== undefined;
  }
  return false;
}

export class TenantWorld {
  readonly key: number;
  readonly name: string;
  readonly peers: ReadonlySet<string>;
  /** The gateway's own addresses inside the tenant. */
  readonly own: ReadonlySet<string>;
  /** All of its public addresses. */
  readonly publics: ReadonlySet<string>;

  constructor(private readonly tenant: TenantInput) {
    const { publicIps = [], portForwards = [], snat, routes = [], addresses = [] } = tenant;
    this.key = tenant.key;
    this.name = tenant.name;
    this.peers = new Set(routes.map(({ via }) => via));
    this.own = new Set(addresses.map((address) => address.slice(0, address.indexOf("/"))));
    this.publics = new Set([...publicIps, ...portForwards, ...(snat ? [snat] : [])].map(({ address }) => address));
  }

  /** The endpoint that has an address; undefined when none of the tenant's routes leads to it. */
  endpointOf(address: string): string | undefined {
    const fitting = (this.tenant.routes ?? []).filter(({ to }) => contains(networkOf(to), address));
    return fitting.sort((a, b) => networkOf(b.to).length - networkOf(a.to).length)[0]?.via;
  }

  /** Where a public destination leads; undefined when it leads nowhere. */
  translated({ protocol, dst, dport }: Tuple): { readonly dst: string; readonly dport: number } | undefined {
    const { portForwards = [], publicIps = [] } = this.tenant;
    for (const { address, protocol: of, port, to, toPort } of portForwards) {
      const [from, until] = portsOf(port);
      if (address !== dst || protocolNumbers[of] !== protocol || dport < from || dport > until) continue;
      return { dst: to, dport: portsOf(toPort ?? port)[0] + dport - from };
    }
    const one = publicIps.find(({ address }) => address === dst);
    return one && { dst: one.to, dport };
  }

  /** The public address under which a source leaves, if there is one. */
  publicOf(src: string): string | undefined {
    const { publicIps = [], snat } = this.tenant;
    const one = publicIps.find(({ to }) => to === src);
    if (one) return one.address;
    if (!snat) return undefined;
    const from =
      snat.from?.map(networkOf) ??
      (this.tenant.routes ?? []).map(({ to }) => networkOf(to)).filter(({ base }) => isPrivate(dotted(base)));
    return from.some((network) => contains(network, src)) ? snat.address : undefined;
  }

  /** Whether a connection from outside may begin, its destination as it is after translation. */
  admitsInbound({ protocol, src, dst: _, dport }: Tuple): boolean {
    const rules = this.tenant.policy?.inbound ?? [];
    return admits(
      rules.map((rule) => ({ ...(rule as RuleInput), far: (rule as { from?: string }).from })),
      protocol,
      src,
      dport,
    );
  }

  admitsOutbound({ protocol, dst, dport }: Tuple): boolean {
    const rules = this.tenant.policy?.outbound;
    return rules === undefined
      ? true
      : admits(
          rules.map((rule) => ({ ...(rule as RuleInput), far: (rule as { to?: string }).to })),
          protocol,
          dst,
          dport,
        );
  }
}

const dotted = (base: number) => [24, 16, 8, 0].map((shift) => (base >>> shift) & 0xff).join(".");

export class World {
  readonly tenants: ReadonlyMap<number, TenantWorld>;

  constructor(readonly config: ConfigInput) {
    this.tenants = new Map((config.tenants ?? []).map((tenant) => [tenant.key, new TenantWorld(tenant)]));
  }

  /** Whose public address it is. */
  ownerOf(address: string): TenantWorld | undefined {
    return [...this.tenants.values()].find(({ publics }) => publics.has(address));
  }
}
