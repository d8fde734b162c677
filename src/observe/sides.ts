/** Through which NIC and under which VLAN tags each side's packets come and go, as the kernel has its devices. */

import { KernelError } from "../errors.js";
import type { IpLink } from "../kernel/ip.js";
import type { Desired } from "../model/desired.js";

/** A side of the gateway: the underlay or the uplink. */
export interface Side {
  /** Largest IP packet that the device sends, and that XDP may send by the NIC, bytes. */
  readonly mtu: number;
  /** Of the device, with colons. */
  readonly mac: string;
  /** Of the NIC that runs the fast path: the device itself, or what it is a VLAN of. */
  readonly nic: { readonly name: string; readonly ifindex: number };
  /** VLAN tags of its frames, the outermost first: the type in the upper 16 bits, the id in the lower. */
  readonly tags: readonly number[];
}

export interface Sides {
  readonly underlay: Side;
  readonly uplink?: Side;
}

const vlanTypes: Readonly<Record<string, number>> = { "802.1Q": 0x8100, "802.1ad": 0x88a8 };
const vlanDepth = 2;
const tagBytes = 4;
/** A redirect takes frames as long as the MTU and one tag allow, and no longer (xdp_ok_fwd_dev, linux/filter.h). */
const tagsAboveMtu = 1;

/**
 * Both sides of the gateway, after a check that every device that the config names is there.
 *
 * @throws KernelError when one is not, or cannot be served
 */
export function observeSides(desired: Desired, links: readonly IpLink[]): Sides {
  const byName = new Map(links.map((link) => [link.ifname, link]));
  const { underlay, uplink } = desired;
  for (const name of [underlay.device, ...(uplink ? [uplink.device] : []), ...desired.nics.map((nic) => nic.name)])
    if (!byName.has(name))
      throw new KernelError(`there is no network device ${name} in this network namespace`, {
        remedy: `correct the config, or make the device; there are: ${[...byName.keys()].join(", ")}`,
        details: { device: name },
      });
  const nics = new Set(desired.nics.map((nic) => nic.name));
  const side = (what: string, device: string) => sideOf(what, byName.get(device) as IpLink, nics, byName);
  if (!uplink) return { underlay: side("underlay", underlay.device) };
  checkUp(byName.get(uplink.device) as IpLink);
  return { underlay: side("underlay", underlay.device), uplink: side("uplink", uplink.device) };
}

/** The kernel takes no route over a device that is down, and drops those that there are. */
function checkUp(link: IpLink): void {
  if (link.flags.includes("UP")) return;
  throw new KernelError(`the uplink device ${link.ifname} is down`, {
    remedy: `set it up: ip link set dev ${link.ifname} up`,
    details: { device: link.ifname },
  });
}

function sideOf(what: string, device: IpLink, nics: ReadonlySet<string>, byName: ReadonlyMap<string, IpLink>): Side {
  const tags: number[] = [];
  let link = device;
  while (!nics.has(link.ifname)) {
    const below = byName.get(link.link ?? "");
    if (link.linkinfo?.info_kind !== "vlan" || !below || tags.length === vlanDepth)
      throw new KernelError(
        `the ${what} device ${device.ifname} is neither listed under \`nics\` nor a VLAN of a NIC that is`,
        {
          remedy: `add the NIC to \`nics\`: { name: ${link.ifname}, xdp: native }`,
          details: { device: device.ifname },
        },
      );
    tags.unshift(tagOf(link));
    link = below;
  }
  return {
    mtu: Math.min(device.mtu, link.mtu + tagBytes * (tagsAboveMtu - tags.length)),
    mac: device.address ?? "",
    nic: { name: link.ifname, ifindex: link.ifindex },
    tags,
  };
}

function tagOf({ ifname, linkinfo }: IpLink): number {
  const { protocol = "", id = 0, egress_qos = [] } = linkinfo?.info_data ?? {};
  if (egress_qos.length > 0)
    throw new KernelError(`the VLAN device ${ifname} maps packets to VLAN priorities, which XDP cannot repeat`, {
      remedy: "remove its egress-qos-map, or let the switch set the priorities",
      details: { device: ifname },
    });
  const type = vlanTypes[protocol];
  if (type === undefined)
    throw new KernelError(`the VLAN device ${ifname} has the unknown protocol ${protocol}`, {
      remedy: "make it with protocol 802.1Q or 802.1ad",
      details: { device: ifname },
    });
  return type * 0x1_0000 + id;
}
