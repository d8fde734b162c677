/** A packet in the words of the command line. */

import { type FlowView, findLine } from "../datapath/flow-view.js";
import { UsageError } from "../errors.js";
import { parseProtocol, parseTuple } from "../flow/filter.js";
import { tupleBytes } from "../flow/line.js";
import { findConnectionState } from "../kernel/connection-states.js";
import { parseAddress } from "../model/ipv4.js";
import { type PacketWords, type TcpFlag, tcpFlags } from "./frame.js";

export interface PacketOptions {
  readonly source?: string | undefined;
  readonly destination?: string | undefined;
  readonly protocol?: string | undefined;
  readonly flags?: string | undefined;
  readonly peer?: string | undefined;
  readonly ttl: number;
  readonly length?: number | undefined;
}

const icmp = 1;
const carried: readonly number[] = [icmp, 6, 17];
/** What a test run takes: a page, less what the kernel needs of it. */
const mostBytes = 3400;

/** @throws UsageError */
export function parsePacket(words: PacketOptions): PacketWords {
  const { source = "", destination = "", ttl, length, peer } = words;
  const protocol = parseProtocol(words.protocol ?? "tcp");
  if (!carried.includes(protocol))
    throw new UsageError(`a packet of protocol ${protocol} is not made here`, {
      remedy: "use tcp, udp or icmp, or give the frame with --pcap or --hex",
    });
  if (!(Number.isInteger(ttl) && ttl >= 1 && ttl <= 255))
    throw new UsageError(`--ttl ${ttl} cannot be`, { remedy: "use a whole number from 1 to 255" });
  if (length !== undefined && !(Number.isInteger(length) && length >= 28 && length <= mostBytes))
    throw new UsageError(`--length ${length} cannot be`, { remedy: `use a whole number from 28 to ${mostBytes}` });
  if (peer !== undefined && parseAddress(peer) === undefined)
    throw new UsageError(`--peer ${peer} is no address`, { remedy: "write it as 172.168.0.7" });
  const port = protocol === icmp ? ":0" : "";
  const tuple = parseTuple(`${source}${port}`, `${destination}${port}`);
  return { protocol, tuple, flags: parseFlags(words.flags ?? ""), ttl, length };
}

function parseFlags(text: string): TcpFlag[] {
  const names = text
    .toLowerCase()
    .split(",")
    .filter((name) => name !== "");
  const wrong = names.find((name) => !(name in tcpFlags));
  if (wrong === undefined) return names as TcpFlag[];
  throw new UsageError(`TCP has no flag ${JSON.stringify(wrong)}`, { remedy: "use syn, ack, fin, rst, psh, urg" });
}

/** Of a packet that fits what is known: one in the middle of a connection, or the first one. */
export function flagsFor(view: FlowView, tenant: number, { protocol, tuple }: PacketWords): TcpFlag[] {
  if (protocol !== 6) return [];
  const zone = view.tenants.get(tenant)?.zone ?? tenant;
  const isKnown =
    findLine(view, tenant, protocol, tupleBytes(protocol, tuple)) >= 0 ||
    findConnectionState(zone, protocol, tuple) !== undefined;
  return isKnown ? ["ack"] : ["syn"];
}
