/**
 * Whether what came out of the gateway may have: judged by the config alone, for the sender that the payload names, or,
 * where it names none, for the one whose packet was under way.
 */

import {
  type Ipv4,
  isIcmpError,
  type Layers,
  layersOf,
  protocols,
  type Tunnelled,
  tunnelled,
  types,
} from "../frames/layers.js";
import { Connections } from "./connections.js";
import { type Nonce, noncesIn } from "./nonce.js";
import { type Identity, nameOf, type Sent, sideAt } from "./sent.js";
import { type AttackSite, foreign, underlay } from "./site.js";
import { type TenantWorld, World } from "./world.js";

/** What became of a packet, in a word. */
export type Fate = "in its own tenant" | "outside" | "in by a public address" | "answered" | "host" | "noise";

export interface Verdict {
  readonly fate: Fate;
  /** Why it must not have left; undefined when all is well. */
  readonly fault?: string;
  /** Whose packet it is, for the books. */
  readonly tenants: readonly number[];
  readonly origin: Sent;
}

type Judged = Pick<Verdict, "fate" | "fault">;

const ok = (fate: Fate): Judged => ({ fate });
const wrong = (fault: string): Judged => ({ fate: "noise", fault });

export class Oracle {
  private readonly sent = new Map<string, Sent>();
  private readonly connections = new Connections();
  private worlds: readonly World[];

  constructor(private readonly site: AttackSite) {
    this.worlds = [new World(site.config)];
  }

  /** Which of the site's configs may be in force: while one is changed to another, what any of them allows is allowed. */
  during(isChanging: boolean): void {
    const { config, others } = this.site;
    this.worlds = (isChanging ? [config, ...others] : [config]).map((each) => new World(each));
  }

  expect(sent: Sent): void {
    this.sent.set(keyOf(sent), sent);
  }

  find(nonce: Nonce): Sent | undefined {
    return this.sent.get(keyOf(nonce));
  }

  /**
   * @param wire index of the cable that the frame came out of
   * @param current the packet that was sent last
   */
  judge(wire: number, frame: Buffer, current: Sent): Verdict {
    const layers = layersOf(frame);
    const own = layers.ip && this.tunnelOf(layers.ip);
    const named = this.named(frame, own?.ip ?? layers.ip, current);
    const origin = named ?? current;
    const judgements = this.worlds.map((world) => this.judgeIn(world, wire, layers, origin, named !== undefined));
    const { fate, fault } = judgements.find((judged) => judged.fault === undefined) ?? (judgements[0] as Judged);
    const key = own?.key ?? (origin.from.kind === "tenant" ? origin.from.key : undefined);
    return { fate, ...(fault === undefined ? {} : { fault }), tenants: key === undefined ? [] : [key], origin };
  }

  /**
   * The packet whose nonce a frame bears, or the id of which an ICMP error quotes: that a host does not answer is said seconds
   * later, and a fragment need not have the nonce.
   */
  private named(frame: Buffer, ip: Ipv4 | undefined, { seed }: Sent): Sent | undefined {
    const [nonce] = noncesIn(frame);
    const number = ip?.icmp?.quoted?.id;
    return (nonce && this.find(nonce)) ?? (number === undefined ? undefined : this.find({ seed, number }));
  }

  /** What one of the site's tunnels carries, in any of the configs. */
  private tunnelOf(ip: Ipv4): (Tunnelled & { readonly key: number }) | undefined {
    if (ip.src !== underlay) return undefined;
    const found = tunnelled(ip);
    return found?.key !== undefined && this.worlds.some(({ tenants }) => tenants.has(found.key as number))
      ? (found as Tunnelled & { key: number })
      : undefined;
  }

  private judgeIn(world: World, wire: number, layers: Layers, sent: Sent, isNamed: boolean): Judged {
    const origin = inWorld(world, sent);
    const side = sideAt(this.site, wire, layers.tags);
    const isNoise = !isNamed && layers.type !== types.ipv4;
    const own = side?.name === "underlay" && layers.ip ? this.tunnelOf(layers.ip) : undefined;
    if (own && layers.ip) return judgeInTunnel(world, own, layers.ip, origin, isNamed, this.connections);
    if (layers.ip && isOfOwnFragments(layers.ip)) return ok("answered");
    if (isNoise) return ok("noise"); // ARP and neighbour discovery of the gateway's own networks
    const where = side === undefined ? `wire ${wire}, with tags of no side` : `the ${side.name} side`;
    if (origin.from.kind === "tenant") {
      if (side?.name === "underlay" && layers.ip && isToHypervisor(layers.ip, origin)) return ok("answered");
      if (side?.name !== "uplink") return wrong(`${nameOf(origin.from)}: untunnelled on ${where}`);
      return judgeOutside(world, layers, origin, origin.from.key, this.connections);
    }
    const isOn = layers.ip !== undefined && origin.packet.ip !== undefined && isPassedOn(origin.packet.ip, layers.ip);
    if (isNamed && layers.ip && !isOn && !withForeign(layers.ip).some(isMade))
      return wrong(`${nameOf(origin.from)}: what left on ${where} cannot be made of what was sent`);
    const sides = [origin.from.side, side?.name];
    if (isOn && sides.includes("uplink") && sides.includes("underlay"))
      return wrong(`${nameOf(origin.from)}: forwarded to the ${side?.name} side, though it is no tenant's`);
    if (isOn && origin.from.side === "uplink" && side?.name === "uplink" && world.ownerOf(origin.packet.ip?.dst ?? ""))
      return wrong(`${nameOf(origin.from)}: what was sent to a public address is sent on to the outside`);
    const owner = world.ownerOf(origin.packet.ip?.dst ?? "");
    if (owner && layers.ip && side?.name === "uplink" && origin.from.side === "uplink") {
      const { src } = layers.ip;
      if (!owner.publics.has(src) && !side.addresses.includes(src))
        return wrong(`${nameOf(origin.from)}: what the gateway makes for it leaves with source ${src}`);
      if (!isAboutSent(layers.ip, origin))
        return wrong(`${nameOf(origin.from)}: an ICMP error to the outside is not about what it sent`);
    }
    return ok(isOn ? "host" : "answered");
  }

  /** Of a packet that the gateway took for itself. */
  judgeLocal(local: Local, origin: Sent): string | undefined {
    const faults = this.worlds.map((world) => localFault(world, local, inWorld(world, origin)));
    return faults.includes(undefined) ? undefined : faults[0];
  }
}

/** A packet in the gateway's input hook. */
export interface Local {
  /** The device that it comes from there: a VRF for what is a tenant's. */
  readonly device: string;
  readonly src: string;
  readonly dst: string;
  readonly protocol: number;
  readonly id: number;
}

const keyOf = ({ seed, number }: Nonce) => `${seed} ${number}`;

const isToMany = (address: string) => /^(2[2-5]\d)\.|\.255$/.test(address);

function localFault(world: World, { device, src, dst, protocol }: Local, origin: Sent): string | undefined {
  const key = /^x(?:vrf|gre)(\d+)$/.exec(device)?.[1];
  const what = `${nameOf(origin.from)}: the gateway itself took ${src} > ${dst}, protocol ${protocol}, from ${device}`;
  if (key === undefined) return origin.from.kind === "tenant" ? what : undefined;
  const tenant = world.tenants.get(Number(key));
  if (!tenant) return `${what}, whose tenant is not there`;
  if (origin.from.kind === "side")
    return origin.from.side === "uplink" && tenant.publics.has(origin.packet.ip?.dst ?? "") ? undefined : what;
  return origin.from.key === tenant.key && (tenant.own.has(dst) || isToMany(dst)) ? undefined : what;
}

/** What left in the tunnel of one of the site's tenants. */
function judgeInTunnel(
  world: World,
  tunnel: Tunnelled & { readonly key: number },
  outer: Ipv4,
  origin: Sent,
  isNamed: boolean,
  connections: Connections,
): Judged {
  const tenant = world.tenants.get(tunnel.key);
  const who = nameOf(origin.from);
  if (!tenant) return wrong(`${who}: sent under key ${tunnel.key}, which no tenant has`);
  const into = `the tunnel of ${tenant.name}`;
  if (!tenant.peers.has(outer.dst)) return wrong(`${who}: in ${into} to ${outer.dst}, which is no endpoint of it`);
  const { arp, ip } = tunnel;
  if (arp) {
    // Questions may be asked again later, when somebody else sends; answers come at once.
    if (arp.isReply && !mayReach(origin.from, origin, tenant)) return wrong(`${who}: in ${into} it is answered by ARP`);
    if (tenant.own.has(arp.sender)) return ok("noise");
    return wrong(`${who}: in ${into} the gateway ${arp.isReply ? "answers" : "asks"} as ${arp.sender}`);
  }
  if (!ip) return isNamed ? wrong(`${who}: in ${into}, and no IPv4 packet`) : ok("noise");
  if (tenant.endpointOf(ip.dst) !== outer.dst)
    return wrong(`${who}: in ${into} to ${outer.dst}, where ${ip.dst} is not`);
  if (!mayReach(origin.from, origin, tenant)) return wrong(`${who}: reached ${into}`);
  const fate = origin.from.kind === "tenant" ? "in its own tenant" : "in by a public address";
  return judgePacket(tenant, origin, ip, "tunnel", fate, connections);
}

function mayReach(from: Identity, origin: Sent, tenant: TenantWorld): boolean {
  if (from.kind === "tenant") return from.key === tenant.key;
  return from.side === "uplink" && tenant.publics.has(origin.packet.ip?.dst ?? "");
}

/** What left a tenant untunnelled by the uplink. */
function judgeOutside(world: World, layers: Layers, origin: Sent, key: number, connections: Connections): Judged {
  const tenant = world.tenants.get(key);
  const { ip } = layers;
  const who = nameOf(origin.from);
  if (!tenant) return wrong(`${who}: outside, though there is no such tenant`);
  if (!ip) return wrong(`${who}: outside, and no IPv4 packet (${layers.type.toString(16)})`);
  return judgePacket(tenant, origin, ip, "uplink", "outside", connections);
}

function judgePacket(
  tenant: TenantWorld,
  origin: Sent,
  left: Ipv4,
  where: "tunnel" | "uplink",
  fate: Fate,
  connections: Connections,
): Judged {
  const who = nameOf(origin.from);
  const sent = origin.packet.ip;
  if (!sent) return wrong(`${who}: an IPv4 packet left for what is none`);
  if (!isForwarded(sent, left)) {
    if (!isMade(left))
      return wrong(
        `${who}: what left ${where === "tunnel" ? "in the tunnel" : "outside"} cannot be made of what was sent`,
      );
    // With an address of its own a tenant may say to the outside whatever it likes.
    if (where === "tunnel" || tenant.publics.has(left.src)) return ok("answered");
    return wrong(`${who}: what the gateway makes for it leaves untunnelled, ${left.src} > ${left.dst}`);
  }
  if (where === "uplink" && left.icmp?.quoted && !tenant.publics.has(left.icmp.quoted.dst))
    return wrong(`${who}: outside goes an ICMP error about a packet to ${left.icmp.quoted.dst}, which is not public`);
  if (where === "uplink" && !tenant.publics.has(left.src))
    return wrong(`${who}: outside with source ${left.src}, which is not among its public addresses`);
  if (where === "uplink" && tenant.endpointOf(left.dst) !== undefined)
    return wrong(`${who}: outside to ${left.dst}, to which a route of the tenant leads`);
  if (left.offset > 0) return ok(fate);
  const fault = connections.fault(tenant, sent, left, where, origin.from.kind === "tenant");
  return fault === undefined ? ok(fate) : wrong(`${who}: ${fault}`);
}

/**
 * Somebody is told, some seconds later, that the packet whose fragments it has sent was not put together (RFC 792): it gets
 * what is its own, from whom it was for.
 */
function isOfOwnFragments({ src, dst, icmp }: Ipv4): boolean {
  const quoted = icmp?.quoted;
  if (!quoted || icmp.type !== 11 || icmp.code !== 1) return false;
  return quoted.src === dst && quoted.dst === src && (quoted.more || quoted.offset > 0);
}

/** Of an ICMP error: whether it quotes a packet as its sender knows it, with no address from inside. */
function isAboutSent({ dst, icmp }: Ipv4, { packet: { ip: sent }, frames }: Sent): boolean {
  const quoted = icmp?.quoted;
  if (!quoted || !sent) return true;
  // A burst has many ports.
  const same = (a: number | undefined, b: number | undefined) =>
    a === undefined || b === undefined || a === b || frames.length > 1;
  return (
    dst === sent.src &&
    quoted.src === sent.src &&
    quoted.dst === sent.dst &&
    quoted.protocol === sent.protocol &&
    same(quoted.sport, sent.sport) &&
    same(quoted.dport, sent.dport)
  );
}

/** An ICMP error about a tunnel's packet itself, which no tunnel takes, to who sent it. */
function isToHypervisor({ src, dst, icmp }: Ipv4, { frames: [frame] }: Sent): boolean {
  const outer = frame && layersOf(frame).ip;
  const quoted = icmp?.quoted;
  if (!outer || !quoted || src !== underlay) return false;
  return dst === outer.src && quoted.src === outer.src && quoted.dst === underlay && quoted.protocol === protocols.gre;
}

/** Where there is no tenant with its key, a host of one is somebody on the underlay. */
function inWorld({ tenants }: World, sent: Sent): Sent {
  const { from, frames } = sent;
  if (from.kind === "side" || tenants.has(from.key) || !frames[0]) return sent;
  return { ...sent, from: { kind: "side", side: "underlay" }, packet: layersOf(frames[0]) };
}

/** As of two hosts that are no tenant's: also into, or out of, somebody else's tunnel on this machine. */
function isPassedOn(sent: Ipv4, left: Ipv4): boolean {
  return withForeign(sent).some((before) => withForeign(left).some((after) => isForwarded(before, after)));
}

/** A packet, and what is in it when it is of the foreign tunnel. */
function withForeign(ip: Ipv4): Ipv4[] {
  const ends: readonly string[] = [foreign.local, foreign.remote];
  const found = ends.includes(ip.src) && ends.includes(ip.dst) ? tunnelled(ip) : undefined;
  return found?.key === foreign.key && found.ip ? [ip, found.ip] : [ip];
}

/** Whether one is the other after a hop. */
function isForwarded(sent: Ipv4, left: Ipv4): boolean {
  return sent.protocol === left.protocol && left.ttl === sent.ttl - 1 && sent.icmp?.type === left.icmp?.type;
}

const rst = 0x04;

/** Whether it is something that a gateway says by itself: an ICMP error or answer, or a reset. */
function isMade(left: Ipv4): boolean {
  if (left.protocol === protocols.icmp) return left.icmp === undefined || isIcmpError(left) || left.icmp.type !== 8;
  return left.protocol === protocols.tcp && ((left.payload[13] ?? 0) & rst) !== 0;
}
