/** How full the kernel's neighbour table is (linux/neighbour.h): one for all network namespaces. */

import { type Attributes, hostU32, NetlinkSocket } from "libbpf-ts";
import { rtnetlink } from "./rtnetlink.js";

export interface NeighbourTable {
  /** All there are, permanent ones included, which the limit does not count. */
  readonly entries: number;
  /** gc_thresh3: so many others there can be. */
  readonly max: number;
  /** How often one found no room since the machine began. */
  readonly overflows: number;
}

/** RTM_GETNEIGHTBL, with `struct ndtmsg`; NDTA_*; in `struct ndt_config` the entries, in `struct ndt_stats` the last counter. */
const getTables = 66;
const ofIpv4 = Buffer.from([2, 0, 0, 0]);
const ofTable = { name: 1, max: 4, config: 5, statistics: 7 } as const;
const entriesAt = 4;
const overflowsAt = 80;

/** Of IPv4. */
export function readNeighbourTable(): NeighbourTable | undefined {
  using socket = new NetlinkSocket(rtnetlink);
  return socket.collect({ type: getTables, body: ofIpv4 }, ofIpv4.length, (_, attributes) => toTable(attributes))[0];
}

/** Undefined for the settings of one device, which are told of as well. */
function toTable(attributes: Attributes): NeighbourTable | undefined {
  const config = attributes.bytes(ofTable.config);
  if (!config || attributes.text(ofTable.name) !== "arp_cache") return undefined;
  const statistics = attributes.bytes(ofTable.statistics);
  return {
    entries: hostU32(config, entriesAt),
    max: attributes.u32(ofTable.max) ?? 0,
    overflows: statistics && statistics.length >= overflowsAt + 8 ? hostU32(statistics, overflowsAt) : 0,
  };
}
