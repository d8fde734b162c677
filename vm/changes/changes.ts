/**
 * What may change around two gateways, and in them. Each is drawn for what is there now, done to both alike, and may be
 * followed by any other.
 */

import { ipv4, raw } from "../../test/bpf/support/packet.js";
import type { Random } from "../../test/bpf/support/random.js";
import { icmpMessage } from "../attack/palette.js";
import { draftAround, frameOf } from "../frames/draft.js";
import type { Flow } from "./flows.js";
import {
  endpoints,
  farNetworks,
  isFar,
  nics,
  onWire,
  routers,
  routesAtFirst,
  servers,
  type TenantInput,
  underlay,
} from "./site.js";
import type { Twin } from "./twin.js";
import type { Party, World } from "./world.js";

export interface Change {
  readonly name: string;
  readonly story: string;
  /** Done to the world once, before the gateways. */
  readonly world?: () => void;
  readonly gateway: (twin: Twin) => Promise<void>;
  /** What is in force is another config, or has to be put in force once more: it is looked at when that is done. */
  readonly isConfig?: boolean;
  /** The kernels' own clocks find it out, each at its time: so much later than the other. */
  readonly kernelMs?: number;
  /** It is found out by packets of the flows: by so many of each. */
  readonly rounds?: number;
  /** So long the kernel without XDP itself may not have found it out. */
  readonly leastMs?: number;
}

export interface Situation {
  readonly random: Random;
  readonly world: World;
  readonly flows: readonly Flow[];
  readonly hasDaemon: boolean;
}

type Draw = (situation: Situation) => Change | undefined;

const routingTable = 77;
/** Behind the rule for VRFs, and before the main table's. */
const preference = 20_000;
const far = endpoints.filter(isFar);
/** Some can fail, as a route by a router whose link is down: for both alike. */
const ip =
  (...lines: string[]) =>
  (twin: Twin) =>
    twin.tryIp(...lines);

const betterRoute: Draw = ({ random: { pick } }) => {
  const [endpoint, router] = [pick(far), pick(routers)];
  const story = `a route to ${endpoint} by ${router}`;
  return { name: "better route", story, gateway: ip(`route replace ${endpoint}/32 via ${router}`) };
};

const noBetterRoute: Draw = ({ random: { pick } }) => {
  const endpoint = pick(far);
  return {
    name: "better route gone",
    story: `no route to ${endpoint} alone`,
    gateway: ip(`route del ${endpoint}/32`),
  };
};

const unreachable: Draw = ({ random: { pick } }) => {
  const endpoint = pick(far);
  const story = `${endpoint} is unreachable`;
  return { name: "unreachable", story, gateway: ip(`route replace unreachable ${endpoint}/32`) };
};

const routeReplaced: Draw = ({ random: { pick } }) => {
  const [{ network }, router] = [pick(farNetworks), pick(routers)];
  const story = `${network} by ${router}`;
  return { name: "route replaced", story, gateway: ip(`route replace ${network} via ${router} metric 100`) };
};

const routeDeleted: Draw = ({ random: { pick } }) => {
  const [{ network }, metric] = [pick(farNetworks), pick([100, 200])];
  const story = `no route to ${network} with metric ${metric}`;
  return { name: "route deleted", story, gateway: ip(`route del ${network} metric ${metric}`) };
};

const routesBack: Draw = ({ random: { pick } }) => ({
  name: "routes as at first",
  story: "routes as at first",
  gateway: pick([
    ip(...routesAtFirst),
    async (twin) => {
      await twin.tryIp(...routesAtFirst);
      await twin.tryIp(...far.map((endpoint) => `route del ${endpoint}/32`));
    },
  ]),
});

const rule: Draw = ({ random: { pick } }) => {
  const [endpoint, router] = [pick(far), pick(routers)];
  return {
    name: "rule",
    story: `a rule leads ${endpoint} to a table that goes by ${router}`,
    gateway: ip(
      `route replace default via ${router} table ${routingTable}`,
      `rule add to ${endpoint}/32 lookup ${routingTable} pref ${preference}`,
    ),
  };
};

const noRule: Draw = () => ({
  name: "rule gone",
  story: "no rule",
  gateway: ip(`rule del pref ${preference}`, `rule del pref ${preference}`),
});

const otherTable: Draw = ({ random: { pick } }) => {
  const router = pick(routers);
  const story = `the other table goes by ${router}`;
  return {
    name: "route in another table",
    story,
    gateway: ip(`route replace default via ${router} table ${routingTable}`),
  };
};

const linkDown: Draw = ({ world }) => {
  if (world.deadWires.has(1)) return undefined;
  const device = nics[1].name;
  return {
    name: "link down",
    story: `${device} down`,
    world: () => world.deadWires.add(1),
    gateway: ip(`link set ${device} down`),
  };
};

const carrierGone: Draw = ({ world, random: { pick } }) => {
  const wire = pick([0, 1]);
  if (world.deadWires.size > 0) return undefined;
  const { name } = nics[wire] as (typeof nics)[number];
  return {
    name: "carrier gone",
    story: `no carrier on ${name}`,
    world: () => world.deadWires.add(wire),
    gateway: (twin) => twin.setCarrier(wire, false),
  };
};

const linksUp: Draw = ({ world }) => {
  if (world.deadWires.size === 0) return undefined;
  const dead = [...world.deadWires];
  return {
    name: "links up",
    story: "all links up, and routes as at first",
    gateway: async (twin) => {
      for (const wire of dead) {
        await twin.setCarrier(wire, true);
        await twin.ip(`link set ${nics[wire]?.name} up`);
      }
      world.deadWires.clear();
      await twin.tryIp(...routesAtFirst);
    },
  };
};

/** A neighbour is asked again within these: reachable for 3 s, then a second's delay, two questions, and everybody is asked. */
const neighbourMs = 5500;

const macChanged: Draw = ({ world, random: { pick } }) => {
  const [address, isSaid] = [pick([...onWire.keys()]), pick([true, false])];
  return {
    name: isSaid ? "MAC announced" : "MAC changed in silence",
    story: `another MAC of ${address}${isSaid ? ", announced" : ""}`,
    world: () => world.changeMac(address),
    gateway: async (twin) => {
      if (isSaid) twin.send(world.announce(address));
    },
    kernelMs: neighbourMs,
    ...(isSaid ? {} : { leastMs: neighbourMs }),
  };
};

const innerMacChanged: Draw = ({ world, flows, random: { pick } }) => {
  const party = innerParty(world, flows, pick);
  if (!party) return undefined;
  const isSaid = pick([true, false]);
  return {
    name: isSaid ? "host's MAC announced" : "host's MAC changed in silence",
    story: `another MAC of ${party.address} of tenant ${party.tenant}${isSaid ? ", announced" : ""}`,
    world: () => world.changeInnerMac(party),
    gateway: async (twin) => {
      if (isSaid) twin.send(world.announceInside(party));
    },
    kernelMs: neighbourMs,
    ...(isSaid ? {} : { leastMs: neighbourMs }),
  };
};

/** A host of a tenant whose tunnels are Ethernet. */
function innerParty({ tenants }: World, flows: readonly Flow[], pick: Random["pick"]): Party | undefined {
  const parties = flows.flatMap(({ sides }) => sides.map((side) => side.party));
  const inner = parties.filter(({ tenant }) => tenant !== undefined && tenants[tenant]?.tunnel === "gretap");
  return inner.length > 0 ? pick(inner) : undefined;
}

const neighbourDeleted: Draw = ({ random: { pick } }) => {
  const address = pick([...onWire.keys()]);
  const device = nics[onWire.get(address) ?? 0]?.name;
  return {
    name: "neighbour deleted",
    story: `${address} is forgotten`,
    gateway: ip(`neigh del ${address} dev ${device}`),
  };
};

const deviceMtu: Draw = ({ world, random: { pick } }) => {
  const [wire, mtu] = [pick([0, 1] as const), pick([1400, 1500, 1500])];
  const { name } = nics[wire];
  return {
    name: "MTU of a NIC",
    story: `MTU ${mtu} of ${name}`,
    world: () => world.mtus.set(wire, mtu),
    gateway: ip(`link set ${name} mtu ${mtu}`),
    isConfig: true,
  };
};

const routeMtu: Draw = ({ random: { pick } }) => {
  const [endpoint, router, mtu] = [pick(far), pick(routers), pick([1300, 1350])];
  const story = `a route to ${endpoint} by ${router}, MTU ${mtu}`;
  return { name: "MTU of a route", story, gateway: ip(`route replace ${endpoint}/32 via ${router} mtu ${mtu}`) };
};

const pathMtu: Draw = ({ world, random: { pick } }) => {
  const tenant = pick([0, 1]);
  const party = { tenant, address: pick(servers) };
  const endpoint = world.endpointOf(party);
  if (!isFar(endpoint) || world.deadWires.size > 0) return undefined;
  const [wire, mtu] = [pick([0, 1]), pick([1300, 1400])];
  const { key = 0, tunnel = "gretap" } = world.tenants[tenant] ?? {};
  const gre = Buffer.alloc(8);
  gre.writeUInt16BE(0x2000, 0);
  gre.writeUInt16BE(tunnel === "gretap" ? 0x6558 : 0x0800, 2);
  gre.writeUInt32BE(key, 4);
  const about = ipv4({ src: underlay, dst: endpoint, id: 0 }, raw(47, Buffer.concat([gre, Buffer.alloc(20)])));
  const error = ipv4({ src: routers[wire] ?? "", dst: underlay }, icmpMessage(3, 4, mtu, about));
  const way = {
    wire,
    wrap: "plain",
    sourceMac: world.macOf(routers[wire] ?? ""),
    gatewayMac: nics[wire]?.mac ?? "",
    vlans: [],
  } as const;
  const content = {
    ip: error.subarray(0, 20),
    header: Buffer.alloc(0),
    payload: error.subarray(20),
    protocol: "other",
  } as const;
  return {
    name: "path MTU",
    story: `a router says that ${mtu} bytes fit to ${endpoint}`,
    gateway: async (twin) => void twin.send({ wire, frame: frameOf(draftAround(way, content)) }),
  };
};

/** XDP finds out by what it gives to the kernel: one packet in ten seconds, and then one a second (bpf/lib/way.h). */
const sampledMs = 14_000;
const samples = 4;

/** The kernel drops what is for an endpoint on its way out, of which no table tells. */
const wayOutShut: Draw = ({ world, random: { pick } }) => {
  const [endpoint, how] = [pick(endpoints), pick(["filter", "IPsec policy"] as const)];
  if (world.wayOutShut) return undefined;
  const policy = `xfrm policy add dir out src ${underlay}/32 dst ${endpoint}/32 proto gre action block`;
  const chain = `chain out { type filter hook output priority 0; ip daddr ${endpoint} drop; }`;
  return {
    name: "way out shut",
    story: `${how}: nothing goes out to ${endpoint}`,
    world: () => {
      world.wayOutShut = true;
    },
    gateway:
      how === "filter" ? async (twin) => void (await twin.run("nft", `table ip theirs {\n${chain}\n}`)) : ip(policy),
    kernelMs: sampledMs,
    rounds: samples + 1,
  };
};

const wayOutOpen: Draw = ({ world }) => {
  if (!world.wayOutShut) return undefined;
  return {
    name: "way out open",
    story: "everything goes out again",
    world: () => {
      world.wayOutShut = false;
    },
    gateway: async (twin) => {
      await twin.tryRun("nft", "delete table ip theirs");
      await twin.tryIp("xfrm policy flush");
    },
  };
};

/** Another config of one tenant. */
function configured(name: string, edit: (tenant: TenantInput, situation: Situation) => [TenantInput, string]): Draw {
  return (situation) => {
    const { world, random } = situation;
    const index = random.pick([0, 1]);
    const tenant = world.tenants[index];
    if (!tenant) return undefined;
    const [edited, story] = edit(tenant, situation);
    const tenants = world.tenants.with(index, edited);
    return {
      name,
      story: `${tenant.name}: ${story}`,
      isConfig: true,
      world: () => {
        world.tenants = tenants;
      },
      gateway: (twin) => twin.write(tenants),
    };
  };
}

const moved = configured("endpoint moved", (tenant, { random: { pick } }) => {
  const { routes = [] } = tenant;
  const [at, via] = [pick(routes.map((_, index) => index)), pick(endpoints)];
  const to = routes[at]?.to ?? "";
  return [{ ...tenant, routes: routes.with(at, { to, via }) }, `${to} at ${via}`];
});

const nat = configured("NAT changed", (tenant, { random: { pick } }) => {
  const address = tenant.publicIps?.[0]?.address ?? "";
  const base = address.slice(0, address.lastIndexOf("."));
  const snat = `${base}.${pick([200, 201])}`;
  const to = pick(servers);
  return [
    { ...tenant, publicIps: [{ address, to }], snat: { address: snat } },
    `${address} leads to ${to}, others leave as ${snat}`,
  ];
});

const policy = configured("policy changed", (tenant, { random: { pick } }) => {
  const inbound = pick([[{ allow: "udp" }, { allow: "tcp" }], [{ allow: "udp" }], [{ allow: "tcp" }]] as const);
  const outbound = pick([[{ allow: "any" }], [{ deny: "udp", ports: [5000] }, { allow: "any" }]] as const);
  const edited = { ...tenant, policy: { inbound: [...inbound], outbound: [...outbound] } } as TenantInput;
  return [edited, `inbound ${JSON.stringify(inbound)}, outbound ${JSON.stringify(outbound)}`];
});

const key = configured("key changed", (tenant, { random: { integer } }) => {
  const other = Math.floor(tenant.key / 1000) * 1000 + integer(100, 900);
  return [{ ...tenant, key: other }, `key ${other}`];
});

const connectionDeleted: Draw = ({ flows, random: { pick } }) => {
  if (flows.length === 0) return undefined;
  const { name, sides } = pick(flows);
  return {
    name: "connection deleted",
    story: `conntrack forgets ${name}`,
    gateway: async (twin) => void (await twin.tryRun("conntrack", ...deletionOf(sides[0].tuple))),
  };
};

export const deletionOf = ({ protocol, src, dst, sport, dport }: Flow["sides"][0]["tuple"]): string[] => [
  "-D",
  ...["-p", protocol, "-s", src, "-d", dst, "--sport", `${sport}`, "--dport", `${dport}`],
];

const daemonStarts: Draw = ({ hasDaemon }) =>
  hasDaemon
    ? undefined
    : { name: "daemon starts", story: "xgw run", isConfig: true, gateway: (twin) => twin.startDaemon() };

const daemonEnds: Draw = ({ hasDaemon, random: { pick } }) => {
  if (!hasDaemon) return undefined;
  const signal = pick(["SIGTERM", "SIGKILL"] as const);
  return { name: "daemon ends", story: `xgw run gets ${signal}`, gateway: (twin) => twin.endDaemon(signal) };
};

const draws: readonly Draw[] = [
  ...[betterRoute, noBetterRoute, unreachable, routeReplaced, routeDeleted, routesBack, rule, noRule, otherTable],
  ...[betterRoute, routesBack, linksUp, linksUp, linksUp],
  ...[linkDown, carrierGone, macChanged, macChanged, innerMacChanged, neighbourDeleted],
  ...[deviceMtu, routeMtu, pathMtu],
  ...[moved, nat, policy, key],
  ...[wayOutShut, wayOutOpen, wayOutOpen],
  ...[connectionDeleted, connectionDeleted],
  ...[daemonStarts, daemonEnds],
];

export function drawChange(situation: Situation): Change {
  for (;;) {
    const change = situation.random.pick(draws)(situation);
    if (change) return change;
  }
}
