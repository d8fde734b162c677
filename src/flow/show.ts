/** One connection whole: what conntrack, XDP and the flowtable have of it, and why it is not in a faster tier. */

import { takesRedirects } from "../datapath/endpoints.js";
import { kernelNames } from "../datapath/entries.js";
import { flowBytes, flowOffsets } from "../datapath/flow-table.js";
import { type FlowView, findLine } from "../datapath/flow-view.js";
import { readU16, readU32 } from "../datapath/layout.js";
import { templateStates } from "../datapath/templates.js";
import { secondsSince, ticksNow } from "../kernel/clock.js";
import { type ConnectionState, findConnectionState, statusBits } from "../kernel/connection-states.js";
import { formatAddress } from "../model/ipv4.js";
import type { ConnectionTuple } from "../plan/admission.js";
import { protocolName } from "./filter.js";
import { arrivesAs, countOf, isSame, leavesAs, natOf, ruleField, tupleBytes, turnedRound } from "./line.js";
import { type Named, readAge, tenths } from "./list.js";
import type { Rule, Shown, ShownDirection, Tier } from "./schema.js";
import { whyNotFlowtable, whyNotXdp } from "./why.js";

/** Which connection is meant: by a tuple of either direction, before or after NAT. */
export interface Wanted {
  readonly tenant: Named;
  readonly protocol: number;
  readonly tuple: ConnectionTuple;
}

/** What the config says of a rule: its words and its place. */
export type DescribeRule = (key: number, rule: Rule) => Omit<NonNullable<Shown["rule"]>, keyof Rule>;

/** As it was found: the tuples as packets arrive, and what each place has of it. */
interface Found {
  readonly original: ConnectionTuple;
  readonly reply: ConnectionTuple;
  readonly mark: number;
  readonly connection?: ConnectionState;
}

/** Those that the tuple may mean, of which there is one, as a rule. */
export function showFlows(view: FlowView, wanted: Wanted, describeRule: DescribeRule): Shown[] {
  const { tenant, protocol } = wanted;
  const zone = view.tenants.get(tenant.id)?.zone ?? tenant.id;
  return find(view, wanted, zone).map(({ original, reply, mark, connection }) => {
    const show = (arrives: ConnectionTuple, leaves: ConnectionTuple) =>
      showDirection(view, wanted, arrives, leaves, connection);
    const directions = { original: show(original, turnedRound(reply)), reply: show(reply, turnedRound(original)) };
    const age = readAge(view, protocol, original, zone);
    const { rule } = ruleField(mark);
    return {
      ...{ tenant: tenant.name, key: tenant.key, zone, protocol: protocolName(protocol) },
      nat: natOf(original, reply),
      tier: slower(directions.original.tier, directions.reply.tier),
      ...(age === undefined ? {} : { ageSeconds: tenths(age) }),
      ...(rule ? { rule: { ...rule, ...describeRule(tenant.key, rule) } } : {}),
      ...(connection ? { conntrack: showConntrack(connection) } : {}),
      ...directions,
    };
  });
}

const tiers: readonly Tier[] = ["xdp", "flowtable", "stack"];
const slower = (a: Tier, b: Tier): Tier => (tiers.indexOf(a) > tiers.indexOf(b) ? a : b);

/** By conntrack, which finds both directions; else, for what has ended there, by the lines that are left of it. */
function find(view: FlowView, { tenant, protocol, tuple }: Wanted, zone: number): Found[] {
  const both = [tuple, turnedRound(tuple)];
  const connections = both.flatMap((one) => findConnectionState(zone, protocol, one) ?? []);
  const found = connections.map((connection): Found => {
    const { original, reply, mark } = connection;
    return { original, reply, mark, connection };
  });
  const all = found.length > 0 ? found : findLines(view, tenant.id, protocol, both);
  return all.filter((one, at) => all.findIndex((other) => isSame(other.original, one.original)) === at);
}

function findLines(view: FlowView, tenant: number, protocol: number, tuples: readonly ConnectionTuple[]): Found[] {
  const lines = tuples.map((tuple) => findLine(view, tenant, protocol, tupleBytes(protocol, tuple)));
  const found = lines.filter((line) => line >= 0);
  return (found.length > 0 ? found : scanFor(view, tenant, protocol, tuples)).flatMap((line) => {
    const copy = Buffer.alloc(flowBytes);
    if (!view.memory.copy(line, copy)) return [];
    const [arrives, other] = [arrivesAs(copy), turnedRound(leavesAs(copy))];
    const mark = view.markOf(line);
    return [view.isReply(line) ? { original: other, reply: arrives, mark } : { original: arrives, reply: other, mark }];
  });
}

/** Of the tenant's lines those that leave as one of the tuples. */
function* scanLines(view: FlowView, tenant: number, protocol: number): Generator<number> {
  const { memory } = view;
  for (let line = 0; line < memory.lines; line++)
    if (memory.byte(line, flowOffsets.protocol) === protocol && view.tenantOf(line) === tenant) yield line;
}

function scanFor(view: FlowView, tenant: number, protocol: number, tuples: readonly ConnectionTuple[]): number[] {
  const wanted = tuples.map((tuple) => tupleBytes(protocol, tuple));
  const words = wanted.map((bytes) => [0, 1, 2].map((word) => readU32(bytes, word)));
  const { memory } = view;
  return [...scanLines(view, tenant, protocol)].filter((line) =>
    words.some(
      ([saddr, daddr, ports]) =>
        memory.word(line, flowOffsets.saddr) === saddr &&
        memory.word(line, flowOffsets.daddr) === daddr &&
        memory.word(line, flowOffsets.ports) === ports,
    ),
  );
}

function showDirection(
  view: FlowView,
  { tenant, protocol }: Wanted,
  arrives: ConnectionTuple,
  leaves: ConnectionTuple,
  connection: ConnectionState | undefined,
): ShownDirection {
  const line = findLine(view, tenant.id, protocol, tupleBytes(protocol, arrives));
  const direction = { tenant: tenant.id, protocol, arrives, line, connection };
  const notXdp = whyNotXdp(view, direction);
  const notFlowtable = notXdp.length > 0 ? whyNotFlowtable(direction) : [];
  const xdp = line < 0 ? undefined : showLine(view, line);
  return {
    arrives,
    leaves,
    tier: notXdp.length === 0 ? "xdp" : notFlowtable.length === 0 ? "flowtable" : "stack",
    whyNotXdp: notXdp,
    whyNotFlowtable: notFlowtable,
    ...(xdp ? { xdp } : {}),
  };
}

const wraps = ["gretap", "gre", "plain"] as const;

function showLine(view: FlowView, line: number): ShownDirection["xdp"] {
  const copy = Buffer.alloc(flowBytes);
  if (!view.memory.copy(line, copy)) return undefined;
  const word = (offset: number) => readU32(copy, offset / 4);
  const template = view.template(readU16(copy, flowOffsets.encap));
  const peer = copy.readUInt32BE(flowOffsets.peer);
  const endpoint = endpointOf(template);
  return {
    arrivesBy: wraps[copy[flowOffsets.wrap] ?? 0] ?? "plain",
    ...countOf(copy),
    idleSeconds: tenths(secondsSince(word(flowOffsets.checked), ticksNow())),
    ...(peer === 0 ? {} : { peer: formatAddress(peer) }),
    generation: word(flowOffsets.generation),
    template: {
      id: template.id,
      state: stateNames[template.state] ?? "free",
      device: kernelNames.nameOf(template.ifindex),
      takesRedirects: takesRedirects(view.pins, template.ifindex),
      nextHop: template.header
        .subarray(0, 6)
        .toString("hex")
        .replaceAll(/..(?!$)/g, "$&:"),
      ...(endpoint === undefined ? {} : { endpoint }),
      mtu: template.mtu,
      unseen: template.unseen,
    },
  };
}

const stateNames = Object.keys(templateStates) as (keyof typeof templateStates)[];

/** From the outer IP header's destination to the inner packet: GRE with key, and Ethernet where it is bridged. */
const behindEndpoint: Readonly<Record<number, number>> = { 0: 4 + 8 + 14, 1: 4 + 8 };

function endpointOf({ wrap, header }: ReturnType<FlowView["template"]>): string | undefined {
  const behind = behindEndpoint[wrap];
  return behind === undefined || header.length < behind
    ? undefined
    : formatAddress(header.readUInt32BE(header.length - behind));
}

function showConntrack({ status, tcpState, timeout, mark, helper, counted }: ConnectionState): Shown["conntrack"] {
  const names = Object.entries(statusNames).flatMap(([name, bit]) => (status & bit ? [name] : []));
  return {
    status: names,
    ...(tcpState === undefined ? {} : { state: tcpState }),
    ...(timeout === undefined ? {} : { timeoutSeconds: timeout }),
    mark,
    ...(helper === undefined ? {} : { helper }),
    ...(counted ? { counted } : {}),
  };
}

/** As the kernel's IPS_ constants have them. */
const statusNames = {
  SEEN_REPLY: statusBits.seenReply,
  ASSURED: statusBits.assured,
  SRC_NAT: statusBits.sourceNat,
  DST_NAT: statusBits.destinationNat,
  SEQ_ADJUST: statusBits.sequenceAdjusted,
  DYING: statusBits.dying,
  NAT_CLASH: statusBits.natClash,
  HELPER: statusBits.helper,
  OFFLOAD: statusBits.offload,
} as const;
