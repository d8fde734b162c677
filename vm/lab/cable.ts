/** Cables of the lab: veth pairs to a switch, which behave as wires do, with VLAN devices over them. */

import { built } from "../root.js";
import type { Namespace } from "./netns.js";

const passProgram = built("bpf/test-pass.bpf.o");

export interface VlanTag {
  readonly id: number;
  /** 802.1Q if not given. */
  readonly protocol?: "802.1Q" | "802.1ad";
}

export interface Cable {
  /** Name of the host's end. */
  readonly nic: string;
  /** VLAN tags of the packets, the outermost first. */
  readonly tags?: readonly VlanTag[];
  /** `a.b.c.d/len` */
  readonly address: string;
}

/** The name of the device that sends and receives: the NIC, or a VLAN over it. */
export const deviceOf = ({ nic, tags = [] }: Pick<Cable, "nic" | "tags">) =>
  [nic, ...tags.map(({ id }) => id)].join(".");

/**
 * A cable from a host to a bridge in the switch's namespace, by the port name given; one that is there already gets
 * another VLAN. Checksums and tags are in the packets, as they are on a wire: veth would leave the first to nobody and the
 * second to metadata, and XDP would see neither.
 */
export async function plug(
  at: { readonly switch: Namespace; readonly bridge: string; readonly port: string },
  host: Namespace,
  { nic, tags = [], address }: Cable,
): Promise<void> {
  const isThere = (await host.tryRun("ip", "link", "show", "dev", nic)).code === 0;
  if (!isThere) {
    await at.switch.ip(`link add ${at.port} type veth peer name ${nic} netns ${host.name}`);
    for (const [namespace, device] of [
      [at.switch, at.port],
      [host, nic],
    ] as const)
      await namespace.run("ethtool", "-K", device, "txvlan", "off", "tx-vlan-stag-hw-insert", "off");
    await host.run("ethtool", "-K", nic, "tx", "off");
    // Room for a second tag, which frames of the usual MTU would have to do without.
    await at.switch.ip(`link set ${at.port} mtu ${nicMtu(tags)} master ${at.bridge} up`);
    await host.ip(`link set ${nic} mtu ${nicMtu(tags)} up`);
  }
  for (const [depth, { id, protocol = "802.1Q" }] of tags.entries()) {
    const below = deviceOf({ nic, tags: tags.slice(0, depth) });
    const device = deviceOf({ nic, tags: tags.slice(0, depth + 1) });
    await host.ip(`link add link ${below} name ${device} type vlan protocol ${protocol} id ${id}`);
    await host.ip(`link set ${device} mtu ${depth === tags.length - 1 ? 1500 : nicMtu(tags)} up`);
  }
  await host.ip(`addr add ${address} dev ${deviceOf({ nic, tags })}`);
}

const nicMtu = (tags: readonly VlanTag[]) => (tags.length > 1 ? 1504 : 1500);

/** A port takes what XDP of the host transmits or redirects only when it runs XDP itself. */
export async function takeXdp(switchboard: Namespace, port: string): Promise<void> {
  await switchboard.ip(`link set dev ${port} xdp obj ${passProgram} sec xdp`);
}
