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
 */

import { fileURLToPath } from "node:url";
import type { TunnelKind } from "../../src/model/desired.js";
import { tunnelOverhead } from "../../src/plan/render.js";
import { Namespace, tryRun } from "./netns.js";

export const gatewayAddress = "172.168.0.1";
const passProgram = fileURLToPath(new URL("../../bpf/test-pass.bpf.o", import.meta.url));

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

const modules = ["vrf", "ip_gre", "nf_conntrack", "nf_flow_table", "nf_tables", "bridge", "veth"];

export async function buildTopology(prefix: string, kind: TunnelKind): Promise<Topology> {
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
    const underlay = await create("switch");
    await underlay.ip("link add switch type bridge", "link set switch up");
    const host = async (name: string, address: string) => {
      const namespace = await create(name);
      await plug(underlay, namespace, name, address);
      return namespace;
    };
    const hosts: Hosts = {
      gateway: await host("gateway", gatewayAddress),
      client: await host("client", "172.168.0.7"),
      user1: await host("user1", "172.168.0.11"),
      user2: await host("user2", "172.168.0.12"),
      stranger: await host("stranger", "172.168.0.66"),
    };
    await underlay.ip(`link set dev gateway xdp obj ${passProgram} sec xdp`);
    await tunnels(hosts, kind);
    return { hosts, destroy };
  } catch (error) {
    await destroy();
    throw error;
  }
}

/** A cable from the host's eth0 to the switch. XDP behind it sees no half-made checksums, as from a real wire. */
async function plug(underlay: Namespace, host: Namespace, port: string, address: string): Promise<void> {
  await underlay.ip(`link add ${port} type veth peer name eth0 netns ${host.name}`);
  await underlay.ip(`link set ${port} master switch up`);
  await host.ip(`addr add ${address}/24 dev eth0`, "link set eth0 up");
  await host.run("ethtool", "-K", "eth0", "tx", "off");
}

/** What the hosts of a cloud have: one plain tunnel a tenant to the gateway, and ordinary routes over it. */
async function tunnels(hosts: Hosts, kind: TunnelKind): Promise<void> {
  await tunnel(hosts.client, kind, "172.168.0.7", 1000, "1.1.1.7/24");
  await tunnel(hosts.client, kind, "172.168.0.7", 2000, "1.1.1.7/24");
  await hosts.client.ip(
    "route add 2.2.2.11 via 1.1.1.11 dev gre1000 onlink",
    "route replace 1.1.1.12 dev gre2000",
    "route add 2.2.2.12 via 1.1.1.12 dev gre2000 onlink",
  );
  await tunnel(hosts.user1, kind, "172.168.0.11", 1000, "10.0.0.7/24");
  await hosts.user1.ip("route add default via 10.0.0.1");
  await tunnel(hosts.user2, kind, "172.168.0.12", 2000, "10.0.0.7/24");
  await hosts.user2.ip("route add default via 10.0.0.1");
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
