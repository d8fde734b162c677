/** iproute2, in batches: reading is one call for all devices or routes, writing one call for all changes of a phase. */

import { crashPoint, crashWithin } from "../crash.js";
import { XgwError } from "../errors.js";
import { run } from "./spawn.js";

/** A device as `ip -j -d link show` has it; the fields that xgw reads. */
export interface IpLink {
  readonly ifindex: number;
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly master?: string;
  /** What a VLAN device lies over. */
  readonly link?: string;
  readonly address?: string;
  readonly ifalias?: string;
  /** `default`, or the number of one that has no name. */
  readonly group?: string;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: {
      readonly table?: number;
      readonly local?: string;
      readonly remote?: string;
      readonly ttl?: number;
      readonly ikey?: string;
      readonly okey?: string;
      /** Of a VLAN: 802.1Q or 802.1ad. */
      readonly protocol?: string;
      readonly id?: number;
      readonly egress_qos?: readonly unknown[];
    };
  };
}

export interface IpAddress {
  readonly family: string;
  readonly local: string;
  readonly prefixlen: number;
}

export interface IpAddressLink {
  readonly ifname: string;
  readonly addr_info: readonly IpAddress[];
}

export interface IpRoute {
  readonly type?: string;
  readonly dst: string;
  readonly dev?: string;
  readonly table?: string;
  readonly protocol?: string;
  readonly metric?: number;
  readonly encap?: string;
  /** Tunnel id of an `ip` encapsulation. */
  readonly id?: number;
  readonly encapDst?: string;
  readonly gateway?: string;
}

export interface IpNeighbour {
  readonly dst: string;
  readonly dev: string;
  readonly lladdr?: string;
}

export interface IpRule {
  readonly priority: number;
  /** There when packets of a VRF look their routes up in its table. */
  readonly l3mdev?: null;
}

/** Devices, with the details of their kinds. */
export async function readLinks(): Promise<IpLink[]> {
  return JSON.parse((await run("ip", ["-j", "-d", "link", "show"])).stdout || "[]");
}

/** What a network namespace has for IPv4. */
export interface IpState {
  readonly addresses: readonly IpAddressLink[];
  /** Of all tables, in numbers. */
  readonly routes: readonly IpRoute[];
  readonly permanentNeighbours: readonly IpNeighbour[];
  readonly rules: readonly IpRule[];
}

/** In one call, for starting a program takes longer than what it does with a few tenants. */
export async function readIpState(): Promise<IpState> {
  const shown = ["addr show", "route show table all", "neigh show nud permanent", "rule show"];
  const { stdout } = await run("ip", ["-N", "-j", "-4", "-batch", "-"], { input: `${shown.join("\n")}\n` });
  const [addresses, routes, neighbours, rules] = stdout.trimEnd().split("\n") as [string, string, string, string];
  if (rules === undefined)
    throw new XgwError(`ip gave fewer answers than there were questions: ${stdout.slice(0, 200)}`);
  return {
    addresses: JSON.parse(addresses),
    routes: parseRoutes(routes),
    permanentNeighbours: JSON.parse(neighbours),
    rules: JSON.parse(rules),
  };
}

/** Link-layer addresses of IPv4 neighbours, by `device address`. */
export async function readNeighbours(): Promise<Map<string, string>> {
  const rows: { dst: string; dev: string; lladdr?: string }[] = JSON.parse(
    (await run("ip", ["-j", "-4", "neigh", "show"])).stdout || "[]",
  );
  return new Map(rows.flatMap(({ dst, dev, lladdr }) => (lladdr ? [[`${dev} ${dst}`, lladdr] as const] : [])));
}

/** Since iproute2 6.15: an encapsulation as an object of its own. */
interface NestedEncap {
  readonly encap_type: string;
  readonly id?: number;
  readonly dst?: string;
}

/**
 * Before 6.15, iproute2 gives a route with an `ip` encapsulation two members named `dst`; later the encapsulation is an
 * object. Either way its endpoint becomes `encapDst`.
 */
export function parseRoutes(json: string): IpRoute[] {
  const renamed = json.replace(/("encap":"ip",(?:"[a-z]+":(?:\d+|"[^"]*"|true|false),)*?)"dst":/g, '$1"encapDst":');
  const routes = JSON.parse(renamed) as (IpRoute & { readonly encap?: string | NestedEncap })[];
  return routes.map((route) => {
    if (typeof route.encap !== "object") return route;
    const { encap_type, id, dst } = route.encap as NestedEncap;
    const flat = { ...(id === undefined ? {} : { id }), ...(dst === undefined ? {} : { encapDst: dst }) };
    return { ...route, encap: encap_type, ...flat };
  });
}

/**
 * Runs `ip` commands in order, stopping at the first that fails; what went before it stays done.
 *
 * @param lines commands without the leading `ip`
 */
export async function batch(lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  const done = crashWithin(lines);
  if (done !== 0) await run("ip", ["-batch", "-"], { input: `${lines.slice(0, done).join("\n")}\n` });
  if (done !== undefined) crashPoint("within a batch");
}
