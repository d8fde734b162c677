/** Which of the kernel's notifications concern the gateway, and how. Pure. */

import type { Desired } from "../model/desired.js";
import { parseAddress, parsePrefix, prefixContains } from "../model/ipv4.js";
import { tableName } from "../plan/rules.js";

export interface Notice {
  /** Something of ours may have changed: compare with the config. */
  readonly check?: string;
  /** Tenants whose packets may have to go another way, and why. */
  readonly redecide?: { readonly tenants: readonly number[]; readonly why: string };
}

/** What the gateway cares about, by name. */
export class Interest {
  private readonly nics: ReadonlySet<string>;
  private readonly owned: ReadonlyMap<string, number>;
  private readonly peers = new Map<string, number[]>();
  /** Tunnels whose neighbours are ours: see `Neighbour`. */
  private readonly permanent: ReadonlySet<string>;
  private readonly everybody: readonly number[];
  private readonly table: string;

  /**
   * @param routeProtocol of the routes that are ours
   * @param neighbours link-layer address by `device address`; kept up to date here, so that only a change is a change
   */
  constructor(
    desired: Desired,
    private readonly routeProtocol: number,
    private readonly neighbours: Map<string, string>,
  ) {
    const { underlay, uplink, nics } = desired;
    this.nics = new Set([underlay.device, ...(uplink ? [uplink.device] : []), ...nics.map(({ name }) => name)]);
    this.owned = new Map(desired.tenants.flatMap(({ vrf, tunnel, id }) => [[vrf, id] as const, [tunnel, id] as const]));
    this.permanent = new Set(
      desired.tenants.filter(({ tunnelKind }) => tunnelKind === "gre").map(({ tunnel }) => tunnel),
    );
    this.everybody = desired.tenants.map(({ id }) => id);
    this.table = tableName(desired.instance);
    for (const { peers, id } of desired.tenants)
      for (const peer of peers) this.peers.set(peer, [...(this.peers.get(peer) ?? []), id]);
  }

  /** A line of `nft monitor`. */
  ofNft(line: string): Notice {
    const [, what, table] = /^(?:add|delete) (\w+) ip (\S+)/.exec(line) ?? [];
    return table === this.table ? { check: `nft ${what}` } : {};
  }

  /** A line of `ip monitor`, with label. */
  ofIp(line: string): Notice {
    const [, label, text = ""] = /^\[(\w+)\](.*)$/.exec(line) ?? [];
    return this.ofLabelled(label, text);
  }

  private ofLabelled(label: string | undefined, what: string): Notice {
    const text = what.replace(/^Deleted /, "");
    switch (label) {
      case "LINK":
        return this.ofDevice("device", /^\d+: ([^:@]+)/.exec(text)?.[1]);
      case "ADDR":
        return / inet /.test(text) ? this.ofDevice("address", /^\d+: (\S+)/.exec(text)?.[1]) : {};
      case "ROUTE":
        return this.ofRoute(text);
      case "NEIGH":
        return this.ofNeighbour(what);
      case "RULE":
        return /l3mdev/.test(text) ? { check: "rule l3mdev" } : {};
      default:
        return {};
    }
  }

  private ofDevice(what: string, name: string | undefined): Notice {
    return name !== undefined && (this.nics.has(name) || this.owned.has(name)) ? { check: `${what} ${name}` } : {};
  }

  private ofRoute(text: string): Notice {
    if (new RegExp(` proto ${this.routeProtocol}\\b`).test(text)) return { check: "route" };
    if (/ table /.test(text)) return {}; // not the main table, which is not shown
    const to = /^(?:unreachable |blackhole |prohibit )?(\S+)/.exec(text)?.[1] ?? "";
    const prefix = parsePrefix(to === "default" ? "0.0.0.0/0" : to.includes("/") ? to : `${to}/32`);
    if (!prefix) return {};
    const tenants = [...this.peers].flatMap(([peer, ids]) =>
      prefixContains(prefix, parseAddress(peer) ?? 0) ? ids : [],
    );
    return redecide(tenants, `underlay route ${to}`);
  }

  /** A tunnel's end itself, or a router on the way to any of them. */
  private ofNeighbour(text: string): Notice {
    const gone = /^Deleted \S+ dev (\S+)/.exec(text)?.[1];
    if (gone !== undefined) return this.permanent.has(gone) ? { check: `neighbour on ${gone}` } : {};
    const [, address = "", device = "", lladdr = ""] = /^(\S+) dev (\S+) lladdr (\S+)/.exec(text) ?? [];
    const tenant = this.owned.get(device);
    if (lladdr === "" || (tenant === undefined && !this.nics.has(device))) return {};
    const name = `${device} ${address}`;
    const known = this.neighbours.get(name);
    this.neighbours.set(name, lladdr);
    if (known === undefined || known === lladdr) return {};
    const tenants = tenant === undefined ? (this.peers.get(address) ?? this.everybody) : [tenant];
    return redecide(tenants, `neighbour ${address} on ${device}`);
  }
}

function redecide(tenants: readonly number[], why: string): Notice {
  return tenants.length === 0 ? {} : { redecide: { tenants: [...new Set(tenants)], why } };
}
