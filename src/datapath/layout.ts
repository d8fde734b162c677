/**
 * Keys and values of the BPF maps as bytes: the TypeScript side of bpf/shared.h, which is where the fields are explained.
 * Addresses are in network byte order, numbers in the host's.
 */

import { endianness } from "node:os";
import { be32 } from "../bytes.js";
import type { TunnelKind } from "../model/desired.js";
import { formatAddress, formatPrefix, parseAddress, parsePrefix } from "../model/ipv4.js";
import { mapLimits, resources } from "../model/shares.js";
import { serviceWord } from "../plan/policy-maps.js";
import type { Entry, Settings } from "../plan/state.js";

export const littleEndian = endianness() === "LE";

/** XGW_DEVICE_VRF */
const vrfFlag = 0x8000_0000;
/** XGW_TENANT_POLICY */
const hasPolicyFlag = 1;

const wraps: readonly TunnelKind[] = ["gretap", "gre"];

const settingNames: readonly (keyof Settings)[] = [
  "tcpTimeoutMs",
  "udpTimeoutMs",
  "tcpTimeoutTicks",
  "udpTimeoutTicks",
  "sessionPool",
  "neighbourPool",
  "sessionRoom",
  "neighbourRoom",
  "newPool",
];

/** Both ways between a device's name and its ifindex. */
export interface DeviceNames {
  indexOf(name: string): number;
  /** `#<ifindex>` for a device that is gone. */
  nameOf(ifindex: number): string;
}

export interface RawEntry {
  readonly key: Buffer;
  readonly value: Buffer;
}

export function u32(...values: number[]): Buffer {
  const words = new Uint32Array(values);
  return Buffer.from(words.buffer);
}

/** The n-th 32-bit word. */
export function readU32(buffer: Buffer, word: number): number {
  return littleEndian ? buffer.readUInt32LE(word * 4) : buffer.readUInt32BE(word * 4);
}

export function readU16(buffer: Buffer, offset: number): number {
  return littleEndian ? buffer.readUInt16LE(offset) : buffer.readUInt16BE(offset);
}

export function readU64(buffer: Buffer, offset: number): bigint {
  return littleEndian ? buffer.readBigUInt64LE(offset) : buffer.readBigUInt64BE(offset);
}

/** A 64-bit counter as a number, which is exact up to 2^53: a bigint each would take most of the time of thousands. */
export function readCount(buffer: Buffer, offset: number): number {
  const words = littleEndian
    ? [buffer.readUInt32LE(offset), buffer.readUInt32LE(offset + 4)]
    : [buffer.readUInt32BE(offset + 4), buffer.readUInt32BE(offset)];
  return (words[0] as number) + (words[1] as number) * 2 ** 32;
}

/** As a number, which is exact up to 2^53. */
export function readS64(buffer: Buffer, offset = 0): number {
  return Number(littleEndian ? buffer.readBigInt64LE(offset) : buffer.readBigInt64BE(offset));
}

/** Dotted quad -> 4 bytes in network byte order. */
export const addressBytes = (address: string): Buffer => be32(parseAddress(address) ?? 0);

export function encodeEntry(entry: Entry, names: DeviceNames): RawEntry {
  switch (entry.map) {
    case "limits":
      return { key: u32(entry.tenant), value: u32(...resources.map((resource) => entry.value[resource]), 0) };
    case "settings":
      return { key: u32(0), value: u32(...settingNames.map((name) => entry.value[name])) };
    case "tenants": {
      const { value } = entry;
      return {
        key: u32(entry.key),
        value: u32(
          value.id,
          value.zone,
          names.indexOf(value.vrf),
          names.indexOf(value.tunnel),
          value.routeTable,
          wraps.indexOf(value.kind),
          value.mtu,
          value.hasPolicy ? hasPolicyFlag : 0,
        ),
      };
    }
    case "peers":
      return { key: Buffer.concat([u32(entry.tenant), addressBytes(entry.address)]), value: u32(1) };
    case "endpoints": {
      const prefix = parsePrefix(entry.prefix) ?? { address: 0, length: 0 };
      return {
        key: Buffer.concat([u32(32 + prefix.length), be32(entry.tenant), be32(prefix.address)]),
        value: addressBytes(entry.via),
      };
    }
    case "tunnels":
      return { key: u32(names.indexOf(entry.device)), value: u32(entry.tenant + (entry.isVrf ? vrfFlag : 0)) };
    case "public_ips":
      return {
        key: addressBytes(entry.address),
        value: u32(entry.tenant, names.indexOf(entry.device), entry.key, entry.mtu),
      };
    case "nics":
      return { key: u32(names.indexOf(entry.device)), value: u32(names.indexOf(entry.device)) };
    case "bond_members":
      return { key: u32(names.indexOf(entry.device)), value: u32(names.indexOf(entry.bond)) };
    case "destinations":
      return {
        key: Buffer.concat([
          u32(64 + entry.bits),
          be32(entry.tenant),
          addressBytes(entry.address),
          be32(serviceWord(entry.protocol, entry.port)),
        ]),
        value: Buffer.concat([addressBytes(entry.to), be32((entry.toPort << 16) >>> 0)]),
      };
    case "policy_networks": {
      const prefix = parsePrefix(entry.prefix) ?? { address: 0, length: 0 };
      const scope = entry.tenant * 2 + (entry.direction === "outbound" ? 1 : 0);
      return {
        key: Buffer.concat([u32(32 + prefix.length), be32(scope), be32(prefix.address)]),
        value: Buffer.from(entry.page, "hex"),
      };
    }
    case "policy_services":
      return {
        key: Buffer.concat([
          u32(64 + entry.bits),
          Buffer.from(entry.page, "hex"),
          be32(serviceWord(entry.protocol, entry.port)),
        ]),
        value: u32(entry.mark),
      };
  }
}

export function decodeEntry(map: Entry["map"], { key, value }: RawEntry, names: DeviceNames): Entry {
  switch (map) {
    case "limits":
      return {
        map,
        tenant: readU32(key, 0),
        value: mapLimits((resource) => readU32(value, resources.indexOf(resource))),
      };
    case "settings": {
      const words = settingNames.map((name, word) => [name, readU32(value, word)] as const);
      return { map, value: Object.fromEntries(words) as unknown as Settings };
    }
    case "tenants": {
      const word = (n: number) => readU32(value, n);
      return {
        map,
        key: readU32(key, 0),
        value: {
          id: word(0),
          zone: word(1),
          vrf: names.nameOf(word(2)),
          tunnel: names.nameOf(word(3)),
          routeTable: word(4),
          kind: wraps[word(5)] ?? "gretap",
          mtu: word(6),
          hasPolicy: (word(7) & hasPolicyFlag) !== 0,
        },
      };
    }
    case "peers":
      return { map, tenant: readU32(key, 0), address: formatAddress(key.readUInt32BE(4)) };
    case "endpoints":
      return {
        map,
        tenant: key.readUInt32BE(4),
        prefix: formatPrefix({ address: key.readUInt32BE(8), length: readU32(key, 0) - 32 }),
        via: formatAddress(value.readUInt32BE(0)),
      };
    case "tunnels": {
      const word = readU32(value, 0);
      const tunnel = { map, device: names.nameOf(readU32(key, 0)), tenant: word % vrfFlag };
      return word >= vrfFlag ? { ...tunnel, isVrf: true } : tunnel;
    }
    case "public_ips":
      return {
        map,
        address: formatAddress(key.readUInt32BE(0)),
        tenant: readU32(value, 0),
        device: names.nameOf(readU32(value, 1)),
        key: readU32(value, 2),
        mtu: readU32(value, 3),
      };
    case "nics":
      return { map, device: names.nameOf(readU32(key, 0)) };
    case "bond_members":
      return { map, device: names.nameOf(readU32(key, 0)), bond: names.nameOf(readU32(value, 0)) };
    case "destinations":
      return {
        map,
        tenant: key.readUInt32BE(4),
        address: formatAddress(key.readUInt32BE(8)),
        protocol: key.readUInt8(12),
        port: key.readUInt16BE(13),
        bits: readU32(key, 0) - 64,
        to: formatAddress(value.readUInt32BE(0)),
        toPort: value.readUInt16BE(4),
      };
    case "policy_networks": {
      const scope = key.readUInt32BE(4);
      return {
        map,
        tenant: scope >>> 1,
        direction: scope % 2 === 1 ? "outbound" : "inbound",
        prefix: formatPrefix({ address: key.readUInt32BE(8), length: readU32(key, 0) - 32 }),
        page: value.toString("hex"),
      };
    }
    case "policy_services":
      return {
        map,
        page: key.toString("hex", 4, 12),
        protocol: key.readUInt8(12),
        port: key.readUInt16BE(13),
        bits: readU32(key, 0) - 64,
        mark: readU32(value, 0),
      };
  }
}
