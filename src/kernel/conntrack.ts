/** The kernel's connections, read and deleted by ctnetlink (linux/netfilter/nfnetlink_conntrack.h): numbers are big-endian. */

import { constants } from "node:os";
import { getSystemErrorName } from "node:util";
import { type Attributes, attribute, NetlinkSocket } from "libbpf-ts";
import { crashPoint } from "../crash.js";
import { XgwError } from "../errors.js";
import { formatAddress } from "../model/ipv4.js";
import type { Connection, ConnectionTuple } from "../plan/admission.js";
import { nest, netfilter, ofIpv4 } from "./netfilter.js";

/** NFNL_SUBSYS_CTNETLINK in the upper byte, IPCTNL_MSG_CT_GET, _DELETE and _GET_STATS_CPU in the lower. */
export const messages = { get: 0x101, delete: 0x102, countsOfCpu: 0x104 } as const;

/** Enum ctattr_stats_cpu. */
const countAttributes = { insertFailures: 9, drops: 10, earlyDrops: 11 } as const;

/** Enum ctattr_type, and within a tuple ctattr_tuple, ctattr_ip and ctattr_l4proto. */
export const attributes = { original: 1, reply: 2, mark: 8, zone: 18 } as const;
export const tupleAttributes = { ip: 1, protocol: 2 } as const;
export const ipAttributes = { source: 1, destination: 2 } as const;
export const protocolAttributes = { number: 1, sourcePort: 2, destinationPort: 3 } as const;

/** Reading one zone's connections walks over those of all: for more zones than this, one walk. */
const walksMax = 4;

/** As it was read from conntrack. */
export interface TrackedConnection extends Connection {
  /** The attributes of a message about it. */
  readonly name: Buffer;
}

/**
 * IPv4 connections, read as they are taken.
 *
 * @param zones theirs; all when not given
 */
export const readConnections = (zones?: ReadonlySet<number>): Generator<TrackedConnection> =>
  readAs(toConnection, zones);

/** The same, each as something else is made of its message. */
export function* readAs<T extends { readonly zone: number }>(
  toItem: (attributes: Attributes) => T,
  zones?: ReadonlySet<number>,
): Generator<T> {
  using socket = new NetlinkSocket(netfilter);
  const walks = zones && zones.size <= walksMax ? [...zones] : [undefined];
  for (const zone of walks) {
    const body = zone === undefined ? ofIpv4 : Buffer.concat([ofIpv4, zoneAttribute(zone)]);
    for (const message of socket.dump({ type: messages.get, body }, ofIpv4.length)) {
      const connection = toItem(message.attributes);
      if (zones?.has(connection.zone) ?? true) yield connection;
    }
  }
}

/**
 * Deletes them; that one has gone by itself is no failure.
 *
 * @throws XgwError when the kernel keeps some
 */
export function deleteConnections(connections: Iterable<TrackedConnection>): void {
  using socket = new NetlinkSocket(netfilter);
  const failed = socket.carryOut(messages.delete, deletions(connections));
  crashPoint("connections deleted");
  failed.delete(constants.errno.ENOENT);
  for (const [errno, count] of failed)
    throw new XgwError(`the kernel did not delete ${count} connections: ${getSystemErrorName(-errno)}`);
}

/** What conntrack has counted in this network namespace, over all CPUs. */
export function readConntrackCounts(): Record<keyof typeof countAttributes, number> {
  using socket = new NetlinkSocket(netfilter);
  const counts = { insertFailures: 0, drops: 0, earlyDrops: 0 };
  for (const { attributes } of socket.dump({ type: messages.countsOfCpu, body: ofIpv4 }, ofIpv4.length))
    for (const name of Object.keys(counts) as (keyof typeof counts)[])
      counts[name] += attributes.bytes(countAttributes[name])?.readUInt32BE() ?? 0;
  return counts;
}

function* deletions(connections: Iterable<TrackedConnection>): Generator<Buffer> {
  for (const { name } of connections) yield Buffer.concat([ofIpv4, name]);
}

export function toConnection(all: Attributes): TrackedConnection {
  const zone = all.bytes(attributes.zone)?.readUInt16BE() ?? 0;
  const original = all.nested(attributes.original);
  const tuple = all.bytes(attributes.original);
  // A deletion that names no tuple would be one of all connections of the host.
  if (!original || !tuple) throw new XgwError("the kernel tells of a connection without saying between whom");
  return {
    zone,
    protocol: original.nested(tupleAttributes.protocol)?.u8(protocolAttributes.number) ?? 0,
    original: toTuple(original),
    reply: toTuple(all.nested(attributes.reply)),
    mark: all.bytes(attributes.mark)?.readUInt32BE() ?? 0,
    name: Buffer.concat([nest(attributes.original, tuple), zoneAttribute(zone)]),
  };
}

function toTuple(tuple: Attributes | undefined): ConnectionTuple {
  const ip = tuple?.nested(tupleAttributes.ip);
  const protocol = tuple?.nested(tupleAttributes.protocol);
  const address = (type: number) => formatAddress(ip?.bytes(type)?.readUInt32BE() ?? 0);
  const port = (type: number) => protocol?.bytes(type)?.readUInt16BE() ?? 0;
  return {
    source: address(ipAttributes.source),
    destination: address(ipAttributes.destination),
    sourcePort: port(protocolAttributes.sourcePort),
    destinationPort: port(protocolAttributes.destinationPort),
  };
}

export function zoneAttribute(zone: number): Buffer {
  const value = Buffer.alloc(2);
  value.writeUInt16BE(zone);
  return attribute(attributes.zone, value);
}
