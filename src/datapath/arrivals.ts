/** How a packet that a host sends to a tenant arrives, as the maps and constants of the programs in force have it. */

import { BpfMap } from "libbpf-ts";
import { be32 } from "../bytes.js";
import { formatAddress } from "../model/ipv4.js";
import { addressBytes, readCount, readU32, u32 } from "./layout.js";
import type { Pins } from "./pins.js";

/** The tunnel endpoint that the tenant's routes give for an address: a look-up by longest prefix; undefined: none. */
export function endpointOf(pins: Pins, tenant: number, address: string): string | undefined {
  using map = BpfMap.openPinned(pins.map("endpoints"));
  const value = map.get(Buffer.concat([u32(64), be32(tenant), addressBytes(address)]));
  return value && formatAddress(value.readUInt32BE(0));
}

/** Constants of bpf/lib/config.h, as far as frames have something of them. */
export interface ArrivalSides {
  /** The gateway's own address, dotted quad. */
  readonly underlayAddress: string;
  readonly underlayTags: Buffer;
  /** Missing without a plain uplink. */
  readonly uplink?: { readonly ifindex: number; readonly mac: string; readonly tags: Buffer } | undefined;
}

export function sidesOf(constants: ReadonlyMap<string, Buffer>): ArrivalSides {
  const bytes = (name: string) => constants.get(name) ?? Buffer.alloc(8);
  const tags = (side: string) => bytes(`${side}_tags`).subarray(0, readU32(bytes(`${side}_tag_bytes`), 0));
  const ifindex = readU32(bytes("uplink_ifindex"), 0);
  const uplink = { ifindex, mac: macOf(bytes("uplink_mac")), tags: tags("uplink") };
  return {
    underlayAddress: formatAddress(bytes("underlay_address").readUInt32BE(0)),
    underlayTags: tags("underlay"),
    ...(ifindex === 0 ? {} : { uplink }),
  };
}

/** The MAC address that a NIC takes the underlay's frames by, as the learner has seen it; undefined while it has not. */
export function nicMac(pins: Pins, ifindex: number): string | undefined {
  using map = BpfMap.openPinned(pins.map("nic_macs"));
  const value = map.get(u32(ifindex % map.maxEntries));
  return value?.some((byte) => byte !== 0) ? macOf(value) : undefined;
}

const macOf = (bytes: Buffer): string => bytes.toString("hex", 0, 6).replaceAll(/..(?!$)/g, "$&:");

/** What is in the bucket of new connections now, of a tenant or of nobody (0), for so many a second. */
export function readBucket(pins: Pins, id: number, perSecond: number): number {
  using map = BpfMap.openPinned(pins.map("buckets"));
  const value = map.get(u32(id));
  if (!value || perSecond === 0) return 0;
  const [filled, level] = [0, 8].map((at) => readCount(value, at)) as [number, number];
  const elapsed = Math.min(1e9, Math.max(0, Number(process.hrtime.bigint()) - filled));
  return Math.floor(Math.min(perSecond, (level + elapsed * perSecond) / 1e9));
}
