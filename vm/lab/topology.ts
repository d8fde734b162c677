/**
 * The seed deployment on one underlay switch:
 *
 *     client 172.168.0.7 ──┐
 *                          ├── switch ── 172.168.0.1 gateway (xgw)
 *     user1  172.168.0.11 ─┤
 *     user2  172.168.0.12 ─┤
 *     stranger 172.168.0.66┘
 *
 * Inside the tunnels user1 and user2 both are 10.0.0.7; the client is 1.1.1.7 in both tenants. The stranger is nobody's
 * peer.
 *
 * With an uplink there is a second switch, unless the uplink is on the same NIC:
 *
 *     client 203.0.113.1 ── outside ── 203.0.113.254 gateway
 *
 * The client is then 1.1.1.7 in plain IP, is the gateway's next hop, and is a partner's 192.168.9.9 in user1's tunnel.
 */

import type { TunnelKind } from "../../src/model/desired.js";
import { tunnelOverhead } from "../../src/plan/render.js";
import { type Cable, deviceOf, plug, takeXdp, type VlanTag } from "./cable.js";
import { Namespace, tryRun } from "./netns.js";

export const gatewayAddress = "172.168.0.1";

export interface TopologyOptions {
  /** Of user1, and of user2. */
  readonly tunnels: readonly [TunnelKind, TunnelKind];
  /** VLAN tags on the underlay, the outermost first. */
  readonly underlayTags?: readonly VlanTag[];
  /** The public side in plain IP. */
  readonly uplink?: Omit<Cable, "address">;
}

/** Names of the gateway's devices. */
export const underlayDevice = ({ underlayTags = [] }: TopologyOptions) => deviceOf({ nic: "eth0", tags: underlayTags });

export interface Hosts {
  readonly gateway: Namespace;
  readonly client: Namespace;
  readonly user1: Namespace;
  readonly user2: Namespace;
  readonly stranger: Namespace;
}

export interface Topology {
  readonly hosts: Hosts;
  /** Removes every namespace, and with it every device. */
  destroy(): Promise<void>;
}

const modules = ["vrf", "ip_gre", "nf_conntrack", "nf_flow_table", "nf_tables", "bridge", "veth", "8021q"];

export async function buildTopology(prefix: string, options: TopologyOptions): Promise<Topology> {
  for (const name of modules) await tryRun("modprobe", ["-q", name]); // built in is as good
  const made: Namespace[] = [];
  const create = async (name: string) => {
    const namespace = await Namespace.create(`${prefix}-${name}`);
    made.push(namespace);
    return namespace;
  };
  const destroy = async () => {
    for (const namespace of made.reverse()) await namespace.delete();
  };
  try {
    const switchboard = await create("switch");
    await switchboard.ip("link add switch type bridge", "link set switch mtu 1504 up");
    const tags = options.underlayTags ?? [];
    const host = async (name: string, address: string) => {
      const namespace = await create(name);
      const at = { switch: switchboard, bridge: "switch", port: name };
      await plug(at, namespace, { nic: "eth0", tags, address: `${address}/24` });
      return namespace;
    };
    const hosts: Hosts = {
      gateway: await host("gateway", gatewayAddress),
      client: await host("client", "172.168.0.7"),
      user1: await host("user1", "172.168.0.11"),
      user2: await host("user2", "172.168.0.12"),
      stranger: await host("stranger", "172.168.0.66"),
    };
    await takeXdp(switchboard, "gateway");
    if (options.uplink) await plugUplink(switchboard, hosts, options.uplink);
    await tenantTunnels(hosts, options.tunnels);
    await (options.uplink ? partnerTunnel(hosts, options.tunnels[0]) : clientTunnels(hosts, options.tunnels));
    return { hosts, destroy };
  } catch (error) {
    await destroy();
    throw error;
  }
}

/** The public addresses are routed to the gateway, as a provider does it. */
async function plugUplink(switchboard: Namespace, hosts: Hosts, cable: Omit<Cable, "address">): Promise<void> {
  await switchboard.ip("link add outside type bridge", "link set outside mtu 1504 up");
  const at = (port: string) => ({ switch: switchboard, bridge: "outside", port });
  await plug(at("gateway-up"), hosts.gateway, { ...cable, address: "203.0.113.254/24" });
  await plug(at("client-up"), hosts.client, { ...cable, address: "203.0.113.1/24" });
  if (cable.nic !== "eth0") await takeXdp(switchboard, "gateway-up");
  await hosts.client.ip("addr add 1.1.1.7/32 dev lo", "route add 2.2.2.0/24 via 203.0.113.254 src 1.1.1.7");
}

/** What the hosts of a cloud have: one plain tunnel a tenant to the gateway, and ordinary routes over it. */
async function tenantTunnels(hosts: Hosts, kinds: TopologyOptions["tunnels"]): Promise<void> {
  await tunnel(hosts.user1, kinds[0], "172.168.0.11", 1000, "10.0.0.7/24");
  await hosts.user1.ip("route add default via 10.0.0.1");
  await tunnel(hosts.user2, kinds[1], "172.168.0.12", 2000, "10.0.0.7/24");
  await hosts.user2.ip("route add default via 10.0.0.1");
}

async function clientTunnels({ client }: Hosts, kinds: TopologyOptions["tunnels"]): Promise<void> {
  await tunnel(client, kinds[0], "172.168.0.7", 1000, "1.1.1.7/24");
  await tunnel(client, kinds[1], "172.168.0.7", 2000, "1.1.1.7/24");
  await client.ip(
    "route add 2.2.2.11 via 1.1.1.11 dev gre1000 onlink",
    "route replace 1.1.1.12 dev gre2000",
    "route add 2.2.2.12 via 1.1.1.12 dev gre2000 onlink",
  );
}

/** What leaves from the partner's address goes by the tunnel. */
async function partnerTunnel({ client }: Hosts, kind: TunnelKind): Promise<void> {
  await tunnel(client, kind, "172.168.0.7", 1000, "192.168.9.9/32");
  await client.ip("rule add from 192.168.9.9 lookup 9", "route add default via 10.0.0.1 dev gre1000 onlink table 9");
}

export async function tunnel(
  host: Namespace,
  kind: TunnelKind,
  local: string,
  key: number,
  address: string,
): Promise<void> {
  await host.ip(
    `link add gre${key} type ${kind} local ${local} remote ${gatewayAddress} key ${key}`,
    `addr add ${address} dev gre${key}`,
    `link set gre${key} mtu ${1500 - tunnelOverhead[kind]} up`,
  );
}
