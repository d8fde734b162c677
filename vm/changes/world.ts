/** Everybody around the gateways, as they are now: where they are, by which MAC address, and what they answer. */

import { arp } from "../../test/bpf/support/packet.js";
import { macOf, tunnelMac } from "../frames/addresses.js";
import { draftAround, frameOf, type Way } from "../frames/draft.js";
import { layersOf, tunnelled, types } from "../frames/layers.js";
import {
  client,
  isFar,
  nics,
  onWire,
  outsider,
  routers,
  servers,
  type TenantInput,
  underlay,
  uplinkRouter,
  uplinkWire,
} from "./site.js";

/** Who sends: a tenant's host, or somebody beyond the uplink (no tenant). */
export interface Party {
  readonly tenant: number | undefined;
  readonly address: string;
}

export interface Departure {
  /** Index of the cable. */
  readonly wire: number;
  readonly frame: Buffer;
}

const usualMtu = 1500;
const everybody = "ff:ff:ff:ff:ff:ff";

export class World {
  /** By address, of those on the wires. */
  private readonly macs = new Map<string, string>();
  /** By tenant's index and address, of tenants' hosts. */
  private readonly innerMacs = new Map<string, string>();
  /** Wires on which nothing goes through. */
  readonly deadWires = new Set<number>();
  /** Of the NICs, by wire, where it is not the usual one. */
  readonly mtus = new Map<number, number>();
  /** The gateways drop something on its way out. */
  wayOutShut = false;
  private lastMac = 100;

  constructor(public tenants: readonly TenantInput[]) {
    for (const address of onWire.keys()) this.macs.set(address, this.newMac(1));
    for (const [index] of tenants.entries())
      for (const address of [...servers, client]) this.innerMacs.set(`${index} ${address}`, this.newMac(2));
  }

  private newMac = (kind: number) => macOf(kind, ++this.lastMac);

  /** A NIC takes nothing longer than its MTU and the headers of the link, one VLAN tag included. */
  isTaken = ({ wire, frame }: Departure): boolean =>
    !this.deadWires.has(wire) && frame.length <= (this.mtus.get(wire) ?? usualMtu) + 14 + 4;

  macOf(address: string): string {
    const mac = this.macs.get(address);
    if (mac === undefined) throw new Error(`nobody on the wires has ${address}`);
    return mac;
  }

  /** Somebody else has the address from now on. */
  changeMac(address: string): void {
    this.macs.set(address, this.newMac(1));
  }

  innerMacOf = ({ tenant, address }: Party): string => this.innerMacs.get(`${tenant} ${address}`) ?? "";

  changeInnerMac({ tenant, address }: Party): void {
    this.innerMacs.set(`${tenant} ${address}`, this.newMac(2));
  }

  endpointOf({ tenant = 0, address }: Party): string {
    return this.tenants[tenant]?.routes?.find(({ to }) => to === `${address}/32`)?.via ?? "";
  }

  /** By which wire somebody's packets come now; they look for another when one is dead. */
  private wireOf(party: Party): number {
    if (party.tenant === undefined) return uplinkWire;
    const endpoint = this.endpointOf(party);
    if (!isFar(endpoint)) return 0;
    return this.deadWires.has(0) ? 1 : 0;
  }

  /** How a party's packets come. */
  wayOf(party: Party): Way {
    const wire = this.wireOf(party);
    const gatewayMac = nics[wire]?.mac ?? "";
    if (party.tenant === undefined)
      return { wire, wrap: "plain", sourceMac: this.macOf(uplinkRouter), gatewayMac, vlans: [] };
    const endpoint = this.endpointOf(party);
    const { key = 0, tunnel: kind = "gretap" } = this.tenants[party.tenant] ?? {};
    const macs = [this.innerMacOf(party), tunnelMac(key)] as const;
    return {
      wire,
      wrap: kind,
      sourceMac: this.macOf(isFar(endpoint) ? (routers[wire] ?? "") : endpoint),
      gatewayMac,
      vlans: [],
      tunnel: { endpoint, gateway: underlay, key, ...(kind === "gretap" ? { macs } : {}) },
    };
  }

  /** What somebody answers by ARP to a frame that left a gateway. */
  answerTo({ wire, frame }: Departure): Departure | undefined {
    const layers = layersOf(frame);
    if (layers.arp && !layers.arp.isReply) return this.answerOnWire(wire, layers.macs[0], layers.arp);
    const inner = layers.ip && tunnelled(layers.ip);
    if (!inner?.arp || inner.arp.isReply || !inner.macs) return undefined;
    const tenant = this.tenants.findIndex(({ key }) => key === inner.key);
    const party = { tenant, address: inner.arp.target };
    const mac = this.innerMacOf(party);
    if (mac === "" || this.endpointOf(party) !== layers.ip?.dst || ![everybody, mac].includes(inner.macs[0]))
      return undefined;
    return this.innerArp(party, "reply", inner.arp.sender);
  }

  private answerOnWire(
    wire: number,
    to: string,
    { sender, target }: { sender: string; target: string },
  ): Departure | undefined {
    const mac = this.macs.get(target);
    if (mac === undefined || onWire.get(target) !== wire || ![everybody, mac].includes(to)) return undefined;
    const targetMac = nics[wire]?.mac ?? "";
    return { wire, frame: arp({ operation: "reply", senderMac: mac, sender: target, targetMac, target: sender }) };
  }

  /** Tells all on the wire who has the address now (RFC 5227, an announcement). */
  announce(address: string): Departure {
    const mac = this.macOf(address);
    const frame = arp({ operation: "request", senderMac: mac, sender: address, targetMac: everybody, target: address });
    return { wire: onWire.get(address) ?? 0, frame };
  }

  /** The same of a tenant's host, in its tunnel. */
  announceInside = (party: Party): Departure => this.innerArp(party, "request", party.address);

  private innerArp(party: Party, operation: "request" | "reply", target: string): Departure {
    const way = this.wayOf(party);
    const key = this.tenants[party.tenant ?? 0]?.key ?? 0;
    const body = arp({
      operation,
      senderMac: this.innerMacOf(party),
      sender: party.address,
      targetMac: operation === "reply" ? tunnelMac(key) : everybody,
      target,
    });
    const content = {
      type: types.arp,
      ip: Buffer.alloc(0),
      header: Buffer.alloc(0),
      payload: body.subarray(14),
      protocol: "other",
    } as const;
    const draft = draftAround(way, content);
    if (operation === "request") draft.innerEth.fill(0xff, 0, 6);
    return { wire: way.wire, frame: frameOf(draft) };
  }

  get outside(): Party {
    return { tenant: undefined, address: outsider };
  }
}
