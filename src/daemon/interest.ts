/** Which of the kernel's notifications concern the gateway, and how. Asks nobody, and keeps what neighbours it is told of. */

import { basename } from "node:path";
import { Pins } from "../datapath/pins.js";
import type { KernelEvent } from "../kernel/monitor.js";
import { unknown } from "../kernel/nftables.js";
import { type Desired, type DesiredTenant, nobody, routeTableBase } from "../model/desired.js";
import { formatAddress, formatPrefix, type Prefix, parseAddress, prefixContains } from "../model/ipv4.js";
import { tunnelPins } from "../plan/render.js";
import { isElementSet, isUncompared, tableName } from "../plan/rules.js";
import { setOfMap } from "../plan/shares.js";
import { type ElementKeys, tenantOfElement } from "../plan/state.js";
import type { Scope } from "../repair.js";
import type { NeighbourMemory } from "./neighbour-memory.js";
import type { Cause } from "./redecisions.js";

export interface Notice {
  /** Something of ours may have changed: compare with the config. */
  readonly check?: string;
  /** All that it can have been; not given: anything. */
  readonly scope?: Scope;
  /** Tenants whose packets may have to go another way, why, and who causes it, on whose budget it is. */
  readonly redecide?: { readonly by: Cause; readonly tenants: readonly number[]; readonly why: string };
  /** Id of the tenant of whose hosts one had to be forgotten; 0: nobody's. */
  readonly forgotNeighbourOf?: number;
  /** A chain or table of somebody else's has come, gone or changed. */
  readonly isOthersFilter?: true;
}

type DeviceDetails = Pick<KernelEvent & { of: "device" }, "isRenamed" | "routeTable" | "masters">;

/** What the gateway cares about, by name. */
export class Interest {
  private readonly nics: ReadonlySet<string>;
  private readonly owned = new Map<string, number>();
  private readonly peers = new Map<string, number[]>();
  /** Tunnels whose neighbours are ours: see `Neighbour` of the plan. */
  private readonly permanent = new Set<string>();
  private readonly ids = new Set<number>();
  /** Pins of what only one tenant has: id by path. */
  private readonly links = new Map<string, number>();
  private readonly pins: Pins;
  private readonly table: string;
  /** The router of the uplink. */
  private readonly gateway: string | undefined;

  /**
   * @param routeProtocol of the routes that are ours
   * @param neighbours kept up to date here, so that only a change is a change
   * @param hasVrfOf whether there is a VRF of a route table
   */
  constructor(
    desired: Desired,
    private readonly routeProtocol: number,
    private readonly neighbours: NeighbourMemory,
    private readonly hasVrfOf: (routeTable: number) => boolean = () => false,
  ) {
    const { underlay, uplink, nics } = desired;
    this.nics = new Set([underlay.device, ...(uplink ? [uplink.device] : []), ...nics.map(({ name }) => name)]);
    this.pins = new Pins(desired.instance);
    this.table = tableName(desired.instance);
    if (uplink) this.gateway = uplink.gateway;
    this.expect(desired.tenants);
    neighbours.follow(this.nics, new Set(this.owned.keys()));
  }

  /** Tenants that are about to come, too. */
  expect(tenants: readonly DesiredTenant[]): void {
    for (const { id, vrf, tunnel, tunnelKind, peers } of tenants) {
      this.ids.add(id);
      this.owned.set(vrf, id).set(tunnel, id);
      if (tunnelKind === "gre") this.permanent.add(tunnel);
      for (const name of tunnelPins(tunnel)) this.links.set(this.pins.link(name), id);
      for (const peer of peers) {
        const ids = this.peers.get(peer);
        if (ids) ids.push(id);
        else this.peers.set(peer, [id]);
      }
    }
  }

  of(event: KernelEvent): Notice {
    switch (event.of) {
      case "device":
        return this.ofDevice("device", event.name, event);
      case "xdp features":
        return this.nics.has(event.device) ? { check: `XDP features of ${event.device}` } : {};
      case "address":
        return this.ofDevice("address", event.device);
      case "route":
        return this.ofRoute(event);
      case "neighbour":
        return this.ofNeighbour(event);
      case "settings":
        return event.device === "all" ? { check: "settings" } : this.ofDevice("settings of", event.device);
      case "routing rule":
        return { check: "ip rule" };
      case "nft":
        if (event.table === this.table) return this.ofNft(event);
        return event.what === "chain" || event.what === "rule" || event.what === "table"
          ? { isOthersFilter: true }
          : {};
    }
  }

  /**
   * One that has another name now is no tenant's any more, and would be missed by a look at the tenant; so would somebody
   * else's VRF with the tenant's route table. A bond's members run what the bond does.
   */
  private ofDevice(
    what: string,
    name: string,
    { isRenamed, routeTable = 0, masters = [] }: DeviceDetails = {},
  ): Notice {
    const bond = masters.find((master) => this.nics.has(master));
    if (bond !== undefined) return { check: `${what} ${name} of ${bond}` };
    const tenant = this.owned.get(name);
    const isOthers = tenant === undefined && this.ids.has(routeTable - routeTableBase);
    if (this.nics.has(name) || isOthers || (tenant !== undefined && isRenamed)) return { check: `${what} ${name}` };
    return tenant === undefined ? {} : this.ofTenants(`${what} ${name}`, [tenant]);
  }

  /** A check of these tenants only, if they are all known. */
  private ofTenants(check: string, tenants: readonly number[], elements: ElementKeys = new Map()): Notice {
    if (!tenants.every((tenant) => this.ids.has(tenant))) return { check };
    return { check, scope: { tenants: new Set(tenants), elements } };
  }

  /** @param path of a pin that has come or gone */
  ofPin(path: string): Notice {
    const tenant = this.links.get(path);
    return tenant === undefined ? { check: "pin" } : this.ofTenants(`pin ${basename(path)}`, [tenant]);
  }

  private ofNft({ what, changed, devices }: KernelEvent & { of: "nft" }): Notice {
    const check = `nft ${what}`;
    if (devices?.length === 0) return {};
    if (devices)
      return this.ofTenants(
        check,
        devices.map((device) => this.owned.get(device) ?? nobody),
      );
    if (isUncompared(changed?.set ?? "")) return {};
    const set = setOfMap(changed?.set ?? "");
    if (!changed || changed.elements.length === 0 || !isElementSet(set)) return { check };
    // One that cannot be looked up, such as one for all keys.
    if (changed.elements.some(({ key, value }) => key === unknown || value === unknown)) return { check };
    return this.ofTenants(
      check,
      changed.elements.map(({ key, value }) => tenantOfElement({ set, key, value })),
      new Map([[set, new Set(changed.elements.map(({ key }) => key))]]),
    );
  }

  /** Ours, or of the main table, by which the tunnels' packets go. */
  private ofRoute({ protocol, routeTable, to }: KernelEvent & { of: "route" }): Notice {
    if (protocol === this.routeProtocol) {
      const id = routeTable - routeTableBase;
      const isOthers = !this.ids.has(id) && this.hasVrfOf(routeTable); // another instance's tenant's
      return isOthers ? {} : this.ofTenants("route", [id]);
    }
    if (routeTable !== mainTable) return {};
    const tenants = [...this.peers].flatMap(([peer, ids]) => (prefixContains(to, parseAddress(peer) ?? 0) ? ids : []));
    const why = `underlay route ${destination(to)}`;
    return redecide(why, tenants, why);
  }

  /**
   * A tunnel's end itself, or a router on the way to any of them; or a tenant's host. What a tenant's hosts cause is on the
   * tenant's budget, and all strangers on a NIC's wire have one together: they are as many as they like to be.
   */
  private ofNeighbour(event: KernelEvent & { of: "neighbour" }): Notice {
    const { device, address, linkAddress, isGone } = event;
    const check = this.permanent.has(device) && !isAsMade(event) ? this.ofDevice("neighbour on", device) : {};
    if (isGone || linkAddress === undefined) return check;
    // Also on a device that only a later config has.
    const { isChange, forgot } = this.neighbours.learn(device, address, linkAddress);
    const told = forgot === undefined ? check : { ...check, forgotNeighbourOf: this.owned.get(forgot) ?? nobody };
    const tenant = this.owned.get(device);
    if (!isChange || (tenant === undefined && !this.nics.has(device))) return told;
    const why = `neighbour ${address} on ${device}`;
    if (tenant !== undefined) return { ...redecide(tenant, [tenant], why), ...told };
    const behind = this.peers.get(address);
    const by = behind || address === this.gateway ? why : `strangers on ${device}`;
    return { ...redecide(by, behind ?? [...this.ids], why), ...told };
  }
}

/** Whether it is as xgw makes those on a tunnel: see `Neighbour` of the plan. */
const isAsMade = ({ address, linkAddress, isPermanent, isGone }: KernelEvent & { of: "neighbour" }) =>
  isPermanent && linkAddress === address && !isGone;

/** RT_TABLE_MAIN (linux/rtnetlink.h). */
const mainTable = 254;

/** As `ip route` writes it. */
function destination(to: Prefix): string {
  if (to.length === 0) return "default";
  return to.length === 32 ? formatAddress(to.address) : formatPrefix(to);
}

function redecide(by: Cause, tenants: readonly number[], why: string): Notice {
  return tenants.length === 0 ? {} : { redecide: { by, tenants: [...new Set(tenants)], why } };
}
