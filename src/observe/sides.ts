/** Through which NIC and under which VLAN tags each side's packets come and go, as the kernel has its devices. */

import { KernelError } from "../errors.js";
import type { Link } from "../kernel/rtnetlink.js";
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
  /** Devices that tunnelled packets may come in by. */
  readonly underlayDevices: readonly { readonly name: string; readonly ifindex: number }[];
  /** NICs that run XDP on their members. */
  readonly bonds: readonly string[];
  /** By which these take packets at the moment. */
  readonly bondMembers: readonly { readonly name: string; readonly bond: string }[];
}

const vlanDepth = 2;
const tagBytes = 4;
/** A redirect takes frames as long as the MTU and one tag allow, and no longer (xdp_ok_fwd_dev, linux/filter.h). */
const tagsAboveMtu = 1;

/**
 * Both sides of the gateway, after a check that every device that the config names is there.
 *
 * @throws KernelError when one is not, or cannot be served
 */
export function observeSides(desired: Desired, links: readonly Link[]): Sides {
  const byName = new Map(links.map((link) => [link.name, link]));
  const { underlay, uplink } = desired;
  for (const name of [underlay.device, ...(uplink ? [uplink.device] : []), ...desired.nics.map((nic) => nic.name)])
    if (!byName.has(name))
      throw new KernelError(`there is no network device ${name} in this network namespace`, {
        remedy: `correct the config, or make the device; there are: ${[...byName.keys()].join(", ")}`,
        details: { device: name },
      });
  const nics = new Set(desired.nics.map((nic) => nic.name));
  const side = (what: string, device: string) => sideOf(what, byName.get(device) as Link, nics, byName);
  if (uplink) checkUp(byName.get(uplink.device) as Link);
  const sides = {
    underlay: side("underlay", underlay.device),
    ...(uplink ? { uplink: side("uplink", uplink.device) } : {}),
  };
  const devices = underlayDevices(desired, sides).map((name) => byName.get(name) as Link);
  return {
    ...sides,
    underlayDevices: devices.map(({ name, ifindex }) => ({ name, ifindex })),
    ...observeBonds(desired, links, byName),
  };
}

/** Generic XDP runs on the bond itself, behind its members. */
function observeBonds(
  { nics }: Desired,
  links: readonly Link[],
  byName: ReadonlyMap<string, Link>,
): Pick<Sides, "bonds" | "bondMembers"> {
  const bonds = nics.flatMap(({ name, xdp }) => (xdp !== "generic" && byName.get(name)?.kind === "bond" ? [name] : []));
  const bondMembers = links.flatMap(({ name, master = "", isBackup }) =>
    bonds.includes(master) && !isBackup ? [{ name, bond: master }] : [],
  );
  return { bonds, bondMembers };
}

/**
 * The underlay's own, and where it has no VLAN tags the other NICs: packets of tunnels may come in by another one than they
 * leave by. Not the uplink's, nor a NIC of which a side is a VLAN.
 */
function underlayDevices(
  { underlay, uplink, nics }: Desired,
  { underlay: { tags }, uplink: uplinkSide }: Pick<Sides, "underlay" | "uplink">,
): string[] {
  if (tags.length > 0) return [underlay.device];
  const others = nics
    .map(({ name }) => name)
    .filter((name) => name !== uplink?.device && name !== uplinkSide?.nic.name);
  return [...new Set([underlay.device, ...others])];
}

/** The kernel takes no route over a device that is down, and drops those that there are. */
function checkUp(link: Link): void {
  if (link.isUp) return;
  throw new KernelError(`the uplink device ${link.name} is down`, {
    remedy: `set it up: ip link set dev ${link.name} up`,
    details: { device: link.name },
  });
}

function sideOf(what: string, device: Link, nics: ReadonlySet<string>, byName: ReadonlyMap<string, Link>): Side {
  const tags: number[] = [];
  let link = device;
  while (!nics.has(link.name)) {
    const below = byName.get(link.below ?? "");
    if (!link.vlan || !below || tags.length === vlanDepth)
      throw new KernelError(
        `the ${what} device ${device.name} is neither listed under \`nics\` nor a VLAN of a NIC that is`,
        {
          remedy: `add the NIC to \`nics\`: { name: ${link.name}, xdp: native }`,
          details: { device: device.name },
        },
      );
    tags.unshift(tagOf(link.name, link.vlan));
    link = below;
  }
  return {
    mtu: Math.min(device.mtu, link.mtu + tagBytes * (tagsAboveMtu - tags.length)),
    mac: device.mac ?? "",
    nic: { name: link.name, ifindex: link.ifindex },
    tags,
  };
}

function tagOf(device: string, { type, id, mapsPriorities }: NonNullable<Link["vlan"]>): number {
  if (mapsPriorities)
    throw new KernelError(`the VLAN device ${device} maps packets to VLAN priorities, which XDP cannot repeat`, {
      remedy: "remove its egress-qos-map, or let the switch set the priorities",
      details: { device },
    });
  return type * 0x1_0000 + id;
}
