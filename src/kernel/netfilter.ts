/** What all of netfilter's netlink messages have in common (linux/netfilter/nfnetlink.h): numbers in them are big-endian. */

import { attribute } from "libbpf-ts";

/** NETLINK_NETFILTER. */
export const netfilter = 12;

/** `struct nfgenmsg`, which every message begins with, of the family IPv4; in answers, at 2 is a number of the subsystem's. */
export const ofIpv4 = Buffer.from([2, 0, 0, 0]);

/** The same of IPv6. */
export const ofIpv6 = Buffer.from([10, 0, 0, 0]);

/** NLA_F_NESTED. */
const nestedFlag = 0x8000;

/** An attribute that others are in. */
export const nest = (type: number, ...attributes: readonly Buffer[]) =>
  attribute(type | nestedFlag, Buffer.concat(attributes));
