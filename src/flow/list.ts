/**
 * Connections one by one: those that XDP carries from the flow table, the others from conntrack. Neither is ever held in
 * memory; of what is sorted only the first few are.
 */

import { flowBytes, flowOffsets } from "../datapath/flow-table.js";
import { bytesOf, type FlowView, findLine } from "../datapath/flow-view.js";
import { readU16, readU32 } from "../datapath/layout.js";
import { secondsSince, ticksNow } from "../kernel/clock.js";
import { type ConnectionState, readConnectionStates, statusBits } from "../kernel/connection-states.js";
import { readTimeouts } from "../kernel/timeouts.js";
import { connectionTest, type Filter, lineTest, protocolName } from "./filter.js";
import { TopHeap } from "./heap.js";
import { arrivesAs, countOf, isSame, leavesAs, natOf, ruleField, ruleOf, tupleBytes, turnedRound } from "./line.js";
import type { Listed } from "./schema.js";

export const sorts = ["bytes", "packets", "idle", "none"] as const;
export type Sort = (typeof sorts)[number];

/** Rows that are kept to be sorted, at most. */
export const sortedMax = 100_000;

/** Whose flows they are. */
export interface Named {
  readonly name: string;
  readonly key: number;
  readonly id: number;
}

export interface Listing {
  readonly view: FlowView;
  readonly tenants: readonly Named[];
  readonly filter: Filter;
  readonly sort: Sort;
  /** Rows; 0: all, which can only be had unsorted. */
  readonly limit: number;
}

/** A connection that is meant, and how it is to be sorted; a row is made only of what is shown. */
interface Candidate {
  readonly weight: number;
  /** Undefined: it has gone meanwhile. */
  row(): Listed | undefined;
}

/** @returns how many were meant, shown or not, as far as they were looked at */
export function* listFlows({ view, tenants, filter, sort, limit }: Listing): Generator<Listed, number> {
  const names = new Map(tenants.map((tenant) => [tenant.id, tenant]));
  const zones = new Map([...view.tenants.values()].map(({ key, zone }) => [key, zone]));
  let matched = 0;
  if (sort === "none") {
    let shown = 0;
    for (const candidate of candidates(view, names, filter, sort)) {
      const row = candidate.row();
      if (!row) continue;
      matched++;
      yield withAge(view, zones, row);
      if (++shown === limit) break;
    }
    return matched;
  }
  const heap = new TopHeap<Listed>(limit);
  for (const candidate of candidates(view, names, filter, sort)) {
    matched++;
    const row = heap.admits(candidate.weight) ? candidate.row() : undefined;
    if (row) heap.add(candidate.weight, row);
  }
  for (const row of heap.sorted()) yield withAge(view, zones, row);
  return matched;
}

type Names = ReadonlyMap<number, Named>;

function* candidates(view: FlowView, names: Names, filter: Filter, sort: Sort): Generator<Candidate> {
  if (filter.tier === undefined || filter.tier === "xdp") yield* fromTable(view, names, filter, sort);
  if (filter.tier !== "xdp") yield* fromConntrack(view, names, filter, sort);
}

/** Those of which XDP carries both directions: by the original one, which leads to the other. */
function* fromTable(view: FlowView, names: Names, filter: Filter, sort: Sort): Generator<Candidate> {
  const { memory } = view;
  const isMeant = lineTest(filter, view);
  const { idleSeconds = 0 } = filter;
  const now = ticksNow();
  const idleOf = (line: number) => secondsSince(memory.word(line, flowOffsets.checked), now);
  const weightOf = (line: number): number => {
    if (sort === "packets") return memory.word(line, flowOffsets.packets);
    return sort === "bytes" ? bytesOf(memory, line) : 0;
  };
  // One object for all: millions would keep the garbage collector busy.
  const candidate = {
    line: 0,
    other: 0,
    weight: 0,
    row: () => rowOfLines(view, names, candidate.line, candidate.other),
  };
  for (let line = 0; line < memory.lines; line++) {
    if (!memory.isUsed(line) || view.isReply(line) || !isMeant(line) || view.whyUnfollowed(line)) continue;
    const other = view.otherOf(line);
    if (other < 0 || view.whyUnfollowed(other)) continue;
    if (idleSeconds > 0 && idleOf(other) < idleSeconds) continue;
    candidate.line = line;
    candidate.other = other;
    candidate.weight = sort === "idle" ? Math.min(idleOf(line), idleOf(other)) : weightOf(line) + weightOf(other);
    yield candidate;
  }
}

function rowOfLines(view: FlowView, names: Names, line: number, other: number): Listed | undefined {
  const { memory } = view;
  if (!memory.copy(line, one) || !memory.copy(other, two)) return undefined;
  const [original, reply] = [arrivesAs(one), arrivesAs(two)];
  if (!isSame(turnedRound(leavesAs(one)), reply)) return undefined; // one of them is another flow by now
  const now = ticksNow();
  const idleOf = (copy: Buffer) => secondsSince(readU32(copy, flowOffsets.checked / 4), now);
  const { name: tenant, key } = nameOf(names, readU16(one, flowOffsets.tenant));
  const protocol = protocolName(one[flowOffsets.protocol] ?? 0);
  const nat = natOf(original, reply);
  const counted = { by: "xdp", original: countOf(one), reply: countOf(two) } as const;
  const idleSeconds = tenths(Math.min(idleOf(one), idleOf(two)));
  const row: Listed = { tenant, key, protocol, original, reply, nat, tier: "xdp", counted, idleSeconds };
  const rule = ruleOf(view.markNow(one));
  if (rule) row.rule = rule;
  return row;
}

/** Lines that a row is made of: the one and only, for a million rows. */
const [one, two] = [Buffer.alloc(flowBytes), Buffer.alloc(flowBytes)];

const nameOf = (names: Names, id: number) => names.get(id) ?? { name: `#${id}`, key: 0 };

/** All that XDP does not carry in both directions. */
function* fromConntrack(view: FlowView, names: Names, filter: Filter, sort: Sort): Generator<Candidate> {
  const { tenants, tier, idleSeconds } = filter;
  const byZone = new Map([...view.tenants].flatMap(([id, { zone }]) => (names.has(id) ? [[zone, id] as const] : [])));
  const zones = new Set([...byZone].flatMap(([zone, id]) => (tenants?.has(id) === false ? [] : [zone])));
  if (zones.size === 0) return;
  const isMeant = connectionTest(filter);
  const timeouts = readTimeouts();
  for (const connection of readConnectionStates(zones)) {
    const carried = connection.status & statusBits.offload ? "flowtable" : "stack";
    if ((tier !== undefined && tier !== carried) || !isMeant(connection)) continue;
    const idle = idleOf(connection, timeouts);
    if (idleSeconds !== undefined && (idle === undefined || idle < idleSeconds)) continue;
    const id = byZone.get(connection.zone) ?? 0;
    if (isCarriedByXdp(view, id, connection)) continue;
    yield {
      weight: sort === "idle" ? (idle ?? -1) : weightOf(connection, sort),
      row: () => rowOfConnection(names, id, connection, carried, idle),
    };
  }
}

function weightOf({ counted }: ConnectionState, sort: Sort): number {
  if (!counted || sort === "none" || sort === "idle") return 0;
  return counted.original[sort] + counted.reply[sort];
}

/** Both directions. */
export function isCarriedByXdp(
  view: FlowView,
  tenant: number,
  { protocol, original, reply }: ConnectionState,
): boolean {
  if (protocol !== 6 && protocol !== 17) return false;
  return [original, reply].every((tuple) => {
    const line = findLine(view, tenant, protocol, tupleBytes(protocol, tuple));
    return line >= 0 && !view.whyUnfollowed(line);
  });
}

/** Seconds without a packet, where the timeout that is left tells: of what is established, and the flowtable does not have. */
function idleOf(connection: ConnectionState, timeouts: ReturnType<typeof readTimeouts>): number | undefined {
  const { protocol, tcpState, timeout, status } = connection;
  if (timeout === undefined) return undefined;
  if (protocol === 6 && tcpState === "ESTABLISHED") return Math.max(0, timeouts.tcpTimeoutMs / 1000 - timeout);
  if (protocol === 17 && status & statusBits.assured) return Math.max(0, timeouts.udpTimeoutMs / 1000 - timeout);
  return undefined;
}

function rowOfConnection(
  names: Names,
  id: number,
  { protocol, original, reply, mark, counted }: ConnectionState,
  tier: "flowtable" | "stack",
  idle: number | undefined,
): Listed {
  return {
    tenant: nameOf(names, id).name,
    key: nameOf(names, id).key,
    protocol: protocolName(protocol),
    original,
    reply,
    nat: natOf(original, reply),
    tier,
    ...(counted ? { counted: { by: "conntrack", ...counted } } : {}),
    ...(idle === undefined ? {} : { idleSeconds: tenths(idle) }),
    ...ruleField(mark),
  };
}

/** What is looked up for shown rows only. */
function withAge(view: FlowView, zones: ReadonlyMap<number, number>, row: Listed): Listed {
  const age = readAge(view, protocolNumber(row.protocol), row.original, zones.get(row.key) ?? 0);
  if (age !== undefined) row.ageSeconds = tenths(age);
  return row;
}

const protocolNumber = (name: string): number => ({ tcp: 6, udp: 17 })[name] ?? 0;

/** Since the learner first saw the connection, seconds. */
export function readAge(
  view: FlowView,
  protocol: number,
  original: Listed["original"],
  zone: number,
): number | undefined {
  const born = view.bornOf(tupleBytes(protocol, original), zone);
  return born === undefined ? undefined : Math.max(0, (Number(process.hrtime.bigint()) - born) / 1e9);
}

export const tenths = (seconds: number): number => Math.round(seconds * 10) / 10;
