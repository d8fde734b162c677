/** Everybody who can send to the gateway, at their worst: what each sends is drawn from a seed, packet by packet. */

import type { Random } from "../../test/bpf/support/random.js";
import { macOf, tunnelMac } from "../frames/addresses.js";
import { type Draft, draftAround, frameOf, type Way } from "../frames/draft.js";
import { fragmentsOf, outerFragmentsOf } from "../frames/fragments.js";
import { layersOf, tunnelled } from "../frames/layers.js";
import { type Mutation, mutations, suits } from "../frames/mutations.js";
import { stream } from "../frames/stream.js";
import { drawContent } from "./content.js";
import { type Nonce, nonceOf } from "./nonce.js";
import type { Drawn, Palette } from "./palette.js";
import { identify, isUnderlay, type Sent } from "./sent.js";
import {
  type AttackSite,
  allTenants,
  bystanders,
  foreign,
  listed,
  outsiders,
  own,
  plainWay,
  router,
  type Side,
  sideOf,
  type TenantHost,
  underlay,
} from "./site.js";
import type { Tuple } from "./world.js";

/** A living connection, as one of its sides sends. */
export interface Living {
  readonly tuple: Tuple;
  /** Of the tenant that it is of. */
  readonly key: number;
  readonly way: Way;
}

export interface Sender {
  readonly site: AttackSite;
  readonly living: readonly Living[];
  readonly random: Random;
  readonly nonce: Nonce;
}

/** What only somebody on the gateway's own wires controls. */
const carriers: readonly string[] = [
  "destination MAC",
  "source MAC",
  "VLAN tag",
  "cut short",
  "cut anywhere",
  "padded",
  "padded with zeros",
  "both ECN",
  "a bit anywhere in the headers",
];
/** What would hide whose packet it is, of which the ids and addresses of the grammar tell more. */
const hiding: readonly string[] = [
  "inner id",
  "outer id",
  "inner source",
  "inner destination",
  "inner version or header length",
];

/** Without the payload, nobody would be named. */
const larger: Mutation = {
  name: "more than the MTU",
  apply: (draft, { bytes, integer }) =>
    void Object.assign(draft, { payload: Buffer.concat([draft.payload, bytes(integer(1300, 1400))]) }),
};

const allMutations = mutations
  .filter(({ name }) => !hiding.includes(name))
  .map((mutation) => (mutation.name === larger.name ? larger : mutation));
const hostMutations = allMutations.filter(({ name, of }) => of !== "tunnel" && !carriers.includes(name));
const outerMutations = allMutations.filter(
  ({ name, of }) =>
    (of === "tunnel" && name !== "both ECN") || /^(destination|source) MAC$|^VLAN tag|^cut|^padded/.test(name),
);

type Addresses = ReturnType<typeof addressesOf>;
const known = new WeakMap<AttackSite, Addresses>();

function addresses({ site }: Sender): Addresses {
  const found = known.get(site) ?? addressesOf(site);
  known.set(site, found);
  return found;
}

/** All addresses that mean something anywhere in the site. */
function addressesOf(site: AttackSite) {
  const tenants = allTenants(site);
  return {
    hosts: ["10.0.0.7", "10.0.0.8", "1.1.1.7"],
    inside: ["10.0.0.1", "1.1.1.1"],
    publics: tenants.flatMap(({ publicIps = [], portForwards = [], snat }) =>
      [...publicIps, ...portForwards, ...(snat ? [snat] : [])].map(({ address }) => address),
    ),
    gateways: site.sides.flatMap((side) => side.addresses),
    endpoints: [...new Set(site.hosts.map(({ endpoint }) => endpoint))],
    hostsOfGateways: [
      own.host,
      own.overlapping,
      listed.host,
      "203.0.113.1",
      "203.0.113.7",
      foreign.far,
      foreign.address,
    ],
    nobody: ["4.4.4.4", "0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "10.0.0.255", "10.0.0.66"],
  };
}

/** A host of a tenant's; seldom of one that is only there while the config is changed. */
function drawHost({ site, random: { pick, integer } }: Sender): TenantHost {
  const keys = (site.config.tenants ?? []).map(({ key }) => key);
  const there = site.hosts.filter(({ key }) => keys.includes(key));
  const others = site.hosts.filter(({ key }) => !keys.includes(key));
  return pick(integer(0, 7) === 0 ? others : there);
}

const portsOf = ({ site }: Sender): number[] => [
  53,
  80,
  22,
  443,
  4789,
  ...(site.config.tenants ?? []).flatMap(({ portForwards = [] }) =>
    portForwards.map(({ port }) => Number(String(port).split("-")[0])),
  ),
];

function palette(sender: Sender, some: Pick<Palette, "sources" | "targets" | "tuples">): Palette {
  const { site, random, nonce } = sender;
  const all = addresses(sender);
  return {
    random,
    nonce: nonceOf(nonce),
    id: nonce.number & 0xffff,
    ...some,
    tunnelTargets: [underlay, underlay, underlay, ...all.inside, ...all.gateways, ...all.endpoints, ...all.hosts],
    tunnelSources: [...some.sources, ...all.endpoints, ...all.endpoints, foreign.remote, "0.0.0.0"],
    keys: [
      ...site.hosts.flatMap(({ key, kind }) => [{ key, kind }]),
      { key: foreign.key, kind: "gre" },
      { key: random.integer(0, 0xffff_ffff), kind: "gre" },
    ],
    innerSources: [...all.hosts, ...all.hosts, ...outsiders, ...all.publics, "10.0.0.66"],
    innerTargets: [...all.hosts, ...all.hosts, ...all.hosts, ...outsiders, ...all.publics, ...all.hostsOfGateways],
    targets6: [own.host6, own.host6, own.host6, own.address6, "ff02::1", "ff02::2", "fe80::1", "2001:db8::1"],
    ports: portsOf(sender),
  };
}

interface Posted {
  readonly draft: Draft;
  readonly drawn: Drawn;
  readonly who: string;
  readonly wire: number;
  /** What may be done to it. */
  readonly mutations: readonly Mutation[];
  readonly isHost: boolean;
}

/** A virtual machine of a tenant's: it controls what its hypervisor puts into the tunnel, and nothing of the tunnel. */
function fromTenant(sender: Sender): Posted {
  const { living } = sender;
  const host = drawHost(sender);
  const all = addresses(sender);
  const drawn = drawContent(
    palette(sender, {
      sources: [
        ...repeated(24, host.address),
        ...all.hosts,
        ...all.inside,
        ...all.publics,
        ...all.gateways,
        ...all.nobody,
      ],
      targets: [
        ...repeated(2, all.hosts),
        ...repeated(6, outsiders),
        ...all.inside,
        ...all.publics,
        ...all.gateways,
        ...all.endpoints,
        ...all.hostsOfGateways,
        ...all.nobody,
      ],
      tuples: living.filter(({ key }) => key === host.key).map(({ tuple }) => tuple),
    }),
  );
  const draft = draftAround(host.way, drawn.content);
  return { draft, drawn, who: hostName(host), wire: host.way.wire, mutations: hostMutations, isHost: true };
}

const hostName = ({ key, kind, address, endpoint }: TenantHost) => `${address} of key ${key} (${kind}) at ${endpoint}`;

const repeated = <T>(times: number, what: T | readonly T[]): T[] =>
  Array.from({ length: times }, () => what).flat() as T[];

/** Somebody on a wire of the gateway's, who controls every bit of the frame. */
function fromSide(sender: Sender, side: Side): Posted {
  const { random, site } = sender;
  const way = plainWay(side, random.integer(1, 9));
  const tagged = { ...way, vlans: random.integer(0, 5) > 0 ? side.tags : otherTags(sender) };
  const wrapped = random.integer(0, side.name === "uplink" ? 3 : 1) === 0;
  const posted = wrapped ? asTunnel(sender, side, tagged) : asPlain(sender, side, tagged);
  const who = `somebody on ${site.cables[side.wire]?.nic} (${side.name})`;
  return { ...posted, who, wire: side.wire, mutations: wrapped ? outerMutations : allMutations, isHost: false };
}

/** Of another side, none, or of nobody. */
const otherTags = ({ site, random: { pick, integer } }: Sender): Way["vlans"] =>
  pick([
    ...site.sides.map(({ tags }) => tags),
    [],
    [[0x8100, integer(2, 4094)]],
    [
      [0x88a8, 2],
      [0x8100, integer(2, 9)],
    ],
  ]);

function asPlain(sender: Sender, side: Side, way: Way): Pick<Posted, "draft" | "drawn"> {
  const { living } = sender;
  const all = addresses(sender);
  const onSide = { underlay: bystanders, uplink: outsiders, unlisted: [own.host], listed: [listed.host] }[side.name];
  const drawn = drawContent(
    palette(sender, {
      sources: [...repeated(14, onSide), router.address, ...all.hosts, ...all.publics, ...all.endpoints, ...all.nobody],
      targets: [
        ...repeated(side.name === "uplink" ? 6 : 2, all.publics),
        ...repeated(2, all.gateways),
        ...all.endpoints,
        ...all.hosts,
        ...outsiders,
        ...all.hostsOfGateways,
        ...all.nobody,
      ],
      tuples: living.map(({ tuple }) => tuple),
    }),
  );
  return { drawn, draft: draftAround(way, drawn.content) };
}

/** In a tunnel of a tenant's, whose endpoint the sender is not. */
function asTunnel(sender: Sender, side: Side, way: Way): Pick<Posted, "draft" | "drawn"> {
  const { random, site, living } = sender;
  const { pick } = random;
  const all = addresses(sender);
  const victim = pick(site.hosts);
  const onConnection = living.filter(({ key, way: { tunnel } }) => key === victim.key && tunnel);
  const peers = site.hosts.filter(({ key }) => key === victim.key).map(({ endpoint }) => endpoint);
  // On the underlay, who has a peer's address is that peer.
  const others = isUnderlay(site, side.name)
    ? all.endpoints.filter((endpoint) => !peers.includes(endpoint))
    : all.endpoints;
  const onSide = { underlay: bystanders, uplink: outsiders, unlisted: [own.host], listed: [listed.host] }[side.name];
  const tunnel = {
    endpoint: pick([...repeated(2, onSide), ...repeated(2, others), "0.0.0.0", "127.0.0.1", underlay, "172.168.0.255"]),
    gateway: pick([...repeated(8, underlay), ...all.gateways]),
    key: pick([...repeated(8, victim.key), foreign.key, 0]),
    ...(victim.kind === "gretap" ? { macs: [macOf(2, 9), tunnelMac(victim.key)] as const } : {}),
  };
  const drawn = drawContent(
    palette(sender, {
      sources: [...repeated(4, victim.address), ...all.hosts, ...outsiders, ...all.publics, "10.0.0.66"],
      targets: [
        ...repeated(3, all.hosts),
        ...repeated(2, outsiders),
        ...all.publics,
        ...all.inside,
        ...all.hostsOfGateways,
      ],
      tuples: onConnection.map(({ tuple }) => tuple),
    }),
  );
  const story = `tunnelled, key ${tunnel.key}, ${tunnel.endpoint} > ${tunnel.gateway}: ${drawn.story}`;
  return {
    drawn: { ...drawn, shape: "tunnelled", story },
    draft: draftAround({ ...way, wrap: victim.kind, tunnel }, drawn.content),
  };
}

/** What a NIC with an MTU of 1500 takes, with room for the Ethernet header and one tag. */
const largestFrame = 1500 + 14 + 4;

/** One in so many packets is in fragments, or comes as a burst. */
const oneIn = { fragments: 16, burst: 60 } as const;
const burstLength = 12;

export function drawSent(site: AttackSite, living: readonly Living[], nonce: Nonce): Sent {
  const random = stream(nonce.seed, "attack", nonce.number);
  const sender: Sender = { site, living, random, nonce };
  const side = sideOf(
    site,
    random.pick(["uplink", "uplink", "underlay", "underlay", "unlisted", "unlisted", "listed"]),
  );
  const posted = side && random.integer(0, 19) < 9 ? fromSide(sender, side) : fromTenant(sender);
  const { draft, drawn, who, wire } = posted;
  const done = mutate(posted, random);
  // Everything that is delivered has the number: see the gateway's input hook.
  if (draft.ip.length >= 20) draft.ip.writeUInt16BE(nonce.number & 0xffff, 4);
  if (draft.outer.length >= 20) draft.outer.writeUInt16BE(0, 4);
  const whole = frameOf(draft);
  const excess = whole.length - largestFrame;
  if (excess > 0) draft.payload = draft.payload.subarray(0, Math.max(0, draft.payload.length - excess));
  const { from, packet } = posted.isHost ? asHost(draft) : identify(site, wire, frameOf(draft));
  const { frames, how } = framesOf(draft, posted, nonce.number & 0xffff, random);
  const story = `${who}: ${drawn.story}${[...done, ...how].map((what) => `, ${what}`).join("")}`;
  return { ...nonce, from, packet, wire, frames, story, shape: drawn.shape };
}

function asHost(draft: Draft): Pick<Sent, "from" | "packet"> {
  const { ip } = layersOf(frameOf(draft));
  const inner = ip && tunnelled(ip);
  if (inner?.key === undefined) throw new Error("a tenant's host sends in its tunnel");
  return { from: { kind: "tenant", key: inner.key }, packet: inner };
}

function mutate({ draft, mutations: choice }: Posted, random: Random): string[] {
  const { pick, integer } = random;
  const done: string[] = [];
  for (let n = pick([0, 0, 0, 1, 1, 2]); n > 0; n--) {
    const fitting = choice.filter(
      (mutation) =>
        !done.includes(mutation.name) &&
        suits(mutation, draft) &&
        (draft.ip.length > 0 || outerMutations.includes(mutation)),
    );
    if (fitting.length === 0 || integer(0, 9) === 0) break;
    const mutation = pick(fitting);
    mutation.apply(draft, random);
    done.push(mutation.name);
  }
  return done;
}

function framesOf(draft: Draft, { isHost }: Posted, id: number, { integer }: Random) {
  const isFragment = (ip: Buffer) => ip.length >= 8 && (ip.readUInt16BE(6) & 0x3fff) !== 0;
  const isWhole = draft.spoiled.size === 0 && draft.cut === 0 && !isFragment(draft.ip) && !isFragment(draft.outer);
  if (isWhole && draft.ip.length > 0 && integer(1, oneIn.fragments) === 1)
    return { frames: fragmentsOf(draft, id), how: ["in two fragments"] };
  if (isWhole && !isHost && draft.outer.length === 20 && integer(1, oneIn.fragments / 2) === 1) {
    const cutAt = 8 * integer(1, 3);
    return {
      frames: outerFragmentsOf(draft, id, cutAt),
      how: [`the tunnelled packet in two fragments, cut at ${cutAt}`],
    };
  }
  if (isWhole && draft.protocol !== "other" && integer(1, oneIn.burst) === 1) {
    const first = draft.header.readUInt16BE(0);
    const frames = Array.from({ length: burstLength }, (_, n) => {
      draft.header.writeUInt16BE((first + n) & 0xffff || 1, 0);
      return frameOf(draft);
    });
    return { frames, how: [`${burstLength} of them, each from the next port`] };
  }
  return { frames: [frameOf(draft)], how: [] };
}
