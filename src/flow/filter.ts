/** Which connections are meant: by words of the command line, and against lines of the flow table or conntrack's entries. */

import { be32 } from "../bytes.js";
import { nearest } from "../config/nearest.js";
import { flowOffsets } from "../datapath/flow-table.js";
import type { FlowView } from "../datapath/flow-view.js";
import { readU32 } from "../datapath/layout.js";
import { UsageError } from "../errors.js";
import { secondsSince, ticksNow } from "../kernel/clock.js";
import { maskOf, type Prefix, parseAddress, parsePrefix } from "../model/ipv4.js";
import type { ConnectionTuple } from "../plan/admission.js";
import { outboundMark, ruleOfMark } from "../plan/rules.js";
import type { Rule, Tier } from "./schema.js";

export interface Filter {
  /** Ids. */
  readonly tenants?: ReadonlySet<number>;
  /** Of any of the four addresses: both ends, on both sides of NAT. */
  readonly network?: Prefix;
  /** Any of the four. */
  readonly port?: number;
  /** IP protocol number. */
  readonly protocol?: number;
  readonly tier?: Tier;
  readonly rule?: Rule | "none";
  /** At least so long. */
  readonly idleSeconds?: number;
}

/** As options of the commands that take a filter; each also its name in complaints. */
export interface FilterWords {
  readonly tenant?: string | undefined;
  readonly net?: string | undefined;
  readonly port?: number | undefined;
  readonly protocol?: string | undefined;
  readonly tier?: string | undefined;
  readonly rule?: string | undefined;
  readonly idle?: number | undefined;
}

interface Named {
  readonly name: string;
  readonly key: number;
  readonly id: number;
}

/** @throws UsageError */
export function parseFilter(words: FilterWords, tenants: readonly Named[]): Filter {
  const { tenant, net, port, protocol, tier, rule, idle } = words;
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535))
    throw new UsageError(`--port ${port} is no port`, { remedy: "use a number from 0 to 65535" });
  if (idle !== undefined && !(idle >= 0)) throw new UsageError(`--idle ${idle} is no time`, { remedy: "use seconds" });
  return {
    ...(tenant === undefined ? {} : { tenants: new Set([parseTenant(tenant, tenants).id]) }),
    ...(net === undefined ? {} : { network: parseNetwork(net) }),
    ...(port === undefined ? {} : { port }),
    ...(protocol === undefined ? {} : { protocol: parseProtocol(protocol) }),
    ...(tier === undefined ? {} : { tier: tier as Tier }),
    ...(rule === undefined ? {} : { rule: parseRule(rule) }),
    ...(idle === undefined ? {} : { idleSeconds: idle }),
  };
}

/** By name, or by GRE key. @throws UsageError */
export function parseTenant<T extends Named>(word: string, tenants: readonly T[]): T {
  const found = tenants.find(({ name }) => name === word) ?? tenants.find(({ key }) => String(key) === word);
  if (found) return found;
  const guess = nearest(
    word,
    tenants.map(({ name }) => name),
  );
  if (guess !== undefined)
    throw new UsageError(`there is no tenant ${JSON.stringify(word)}`, { remedy: `did you mean ${guess}?` });
  const names = tenants.slice(0, 10).map(({ name }) => name);
  const some = tenants.length > names.length ? `, and ${tenants.length - names.length} more` : "";
  throw new UsageError(`there is no tenant ${JSON.stringify(word)}`, {
    remedy: names.length === 0 ? "nothing is applied here" : `use a name or a GRE key: ${names.join(", ")}${some}`,
  });
}

function parseNetwork(word: string): Prefix {
  const address = parseAddress(word);
  const prefix = address === undefined ? parsePrefix(word) : { address, length: 32 };
  if (prefix) return prefix;
  throw new UsageError(`--net ${word} is no address or network`, { remedy: "write it as 10.0.0.7 or 10.0.0.0/24" });
}

const protocols: ReadonlyMap<string, number> = new Map([
  ["icmp", 1],
  ["tcp", 6],
  ["udp", 17],
]);

/** @throws UsageError */
export function parseProtocol(word: string): number {
  const number = protocols.get(word.toLowerCase()) ?? (/^\d{1,3}$/.test(word) ? Number(word) : Number.NaN);
  if (number <= 255) return number;
  throw new UsageError(`${JSON.stringify(word)} is no protocol`, {
    remedy: "use tcp, udp, icmp or a number up to 255",
  });
}

export const protocolName = (number: number): string =>
  [...protocols].find(([, known]) => known === number)?.[0] ?? String(number);

/** @throws UsageError */
export function parseTuple(source: string, destination: string): ConnectionTuple {
  const [from, to] = [parseEnd(source), parseEnd(destination)];
  return { source: from.address, sourcePort: from.port, destination: to.address, destinationPort: to.port };
}

function parseEnd(word: string): { readonly address: string; readonly port: number } {
  const [, address = "", port = ""] = /^([\d.]+):(\d{1,5})$/.exec(word) ?? [];
  if (parseAddress(address) !== undefined && Number(port) <= 65_535) return { address, port: Number(port) };
  throw new UsageError(`${JSON.stringify(word)} is no address with a port`, { remedy: "write it as 10.0.0.7:4444" });
}

function parseRule(word: string): Rule | "none" {
  if (word === "none") return word;
  const [, direction, rule] = /^(inbound|outbound):(\d{1,5})$/.exec(word) ?? [];
  if (direction !== undefined) return { direction: direction as Rule["direction"], rule: Number(rule) };
  throw new UsageError(`--rule ${word} names no rule`, {
    remedy: "use inbound:N or outbound:N, N counted from 0 in the config's list, or none",
  });
}

/** Nothing is said: it would be everything. */
export const isEmpty = (filter: Filter): boolean => Object.keys(filter).length === 0;

/** Whether a connection's mark is that of the rule. */
function isOfRule(mark: number, rule: Rule | "none"): boolean {
  const found = ruleOfMark(mark);
  if (rule === "none") return found === undefined;
  return found !== undefined && found.rule === rule.rule && found.direction === rule.direction;
}

/** A look at a line of the flow table, made once for millions of them. Of the tier nothing is asked. */
export function lineTest(filter: Filter, view: FlowView): (line: number) => boolean {
  const { memory } = view;
  const now = ticksNow();
  const tests: ((line: number) => boolean)[] = [];
  const { tenants, network, port, protocol, rule, idleSeconds } = filter;
  if (tenants) tests.push((line) => tenants.has(view.tenantOf(line)));
  if (protocol !== undefined) tests.push((line) => memory.byte(line, flowOffsets.protocol) === protocol);
  if (network) {
    const [mask, wanted] = [wordOf(maskOf(network.length)), wordOf(network.address & maskOf(network.length))];
    const isIn = (line: number, offset: number) => (memory.word(line, offset) & mask) >>> 0 === wanted;
    const { keySaddr, keyDaddr, saddr, daddr } = flowOffsets;
    tests.push((line) => isIn(line, keySaddr) || isIn(line, keyDaddr) || isIn(line, saddr) || isIn(line, daddr));
  }
  if (port !== undefined) {
    const wanted = readU32(Buffer.from([port >> 8, port & 0xff, port >> 8, port & 0xff]), 0) & 0xffff;
    const { keyPorts, ports } = flowOffsets;
    const isIt = (line: number, offset: number) =>
      memory.half(line, offset) === wanted || memory.half(line, offset + 2) === wanted;
    tests.push((line) => isIt(line, keyPorts) || isIt(line, ports));
  }
  if (rule !== undefined) tests.push((line) => isOfRule(view.markOf(line), rule));
  if (idleSeconds !== undefined)
    tests.push((line) => secondsSince(memory.word(line, flowOffsets.checked), now) >= idleSeconds);
  if (tests.length === 0) return () => true;
  if (tests.length === 1) return tests[0] as (line: number) => boolean;
  return (line) => tests.every((test) => test(line));
}

/** An address as a word of memory. */
const wordOf = (address: number): number => readU32(be32(address >>> 0), 0);

/** The same of a connection in words; of idleness nothing is asked. */
export function connectionTest(
  filter: Filter,
): (connection: { protocol: number; mark: number; original: ConnectionTuple; reply: ConnectionTuple }) => boolean {
  const { network, port, protocol, rule } = filter;
  const mask = network ? maskOf(network.length) : 0;
  const isIn = (address: string) => (((parseAddress(address) ?? 0) ^ (network?.address ?? 0)) & mask) === 0;
  return (connection) => {
    const { original, reply } = connection;
    if (protocol !== undefined && connection.protocol !== protocol) return false;
    if (rule !== undefined && !isOfRule(connection.mark & (outboundMark | 0xffff), rule)) return false;
    if (network && ![original.source, original.destination, reply.source, reply.destination].some(isIn)) return false;
    if (port === undefined) return true;
    return [original.sourcePort, original.destinationPort, reply.sourcePort, reply.destinationPort].includes(port);
  };
}
