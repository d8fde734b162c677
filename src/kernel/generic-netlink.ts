/** Generic netlink (linux/genetlink.h): families are known by name, and have their numbers from the kernel. */

import { Attributes, attribute, BpfError, type NetlinkRequest, type NetlinkSocket } from "libbpf-ts";

/** NETLINK_GENERIC */
export const genericNetlink = 16;
/** Bytes of `struct genlmsghdr`, which each message begins with. */
export const headerSize = 4;

/** GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_*, CTRL_ATTR_MCAST_GRP_*. */
const controller = 16;
const getFamily = 3;
const ofFamily = { id: 1, name: 2, groups: 7 };
const ofGroup = { name: 1, id: 2 };

export interface Family {
  /** Type of its messages. */
  readonly id: number;
  /** Numbers of its multicast groups by name. */
  readonly groups: ReadonlyMap<string, number>;
}

/** Undefined where the kernel has no such family. */
export function readFamily(socket: NetlinkSocket, name: string): Family | undefined {
  try {
    const { attributes } = socket.get(message(controller, getFamily, text(ofFamily.name, name)), headerSize);
    const groups = [...(attributes.nested(ofFamily.groups)?.values() ?? [])].map((bytes) => {
      const group = new Attributes(bytes);
      return [group.text(ofGroup.name) ?? "", group.u32(ofGroup.id) ?? 0] as const;
    });
    return { id: attributes.u16(ofFamily.id) ?? 0, groups: new Map(groups) };
  } catch (error) {
    if (error instanceof BpfError && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** @param type the family's id */
export function message(type: number, command: number, ...attributes: readonly Buffer[]): NetlinkRequest {
  const version = 1;
  return { type, body: Buffer.concat([Buffer.from([command, version, 0, 0]), ...attributes]) };
}

export const text = (type: number, value: string) => attribute(type, Buffer.from(`${value}\0`));

const NLA_F_NESTED = 0x8000;

export const nest = (type: number, ...attributes: readonly Buffer[]) =>
  attribute(type | NLA_F_NESTED, Buffer.concat(attributes));
