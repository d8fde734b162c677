/** Which events are shown. */

import { reasons } from "../datapath/reasons.js";
import { UsageError } from "../errors.js";
import { type Filter, parseFilter, protocolName } from "../flow/filter.js";
import type { Named } from "../flow/list.js";
import { maskOf, parseAddress } from "../model/ipv4.js";
import type { Happened } from "./schema.js";

export interface MonitorWords {
  readonly tenant?: string | undefined;
  readonly kind?: string | undefined;
  readonly reason?: string | undefined;
  readonly net?: string | undefined;
  readonly port?: number | undefined;
  readonly protocol?: string | undefined;
}

/** @throws UsageError */
export function eventTest(
  words: MonitorWords,
  tenants: readonly Named[],
  kernelReasons: ReadonlyMap<number, string>,
): (event: Happened) => boolean {
  const { kind, reason, ...flowWords } = words;
  const filter = parseFilter(flowWords, tenants);
  if (reason !== undefined && !isReason(reason, kernelReasons)) throw unknownReason(reason);
  const tenant = filter.tenants && tenants.find(({ id }) => filter.tenants?.has(id))?.name;
  const tests: ((event: Happened) => boolean)[] = [];
  if (kind !== undefined) tests.push((event) => event.kind === kind);
  if (reason !== undefined) tests.push((event) => event.reason === reason);
  if (tenant !== undefined) tests.push((event) => event.tenant === tenant);
  if (filter.protocol !== undefined) {
    const wanted = protocolName(filter.protocol);
    tests.push((event) => event.protocol === wanted);
  }
  const { port } = filter;
  if (port !== undefined) tests.push((event) => event.sourcePort === port || event.destinationPort === port);
  if (filter.network) tests.push(networkTest(filter.network));
  return (event) => tests.every((test) => test(event));
}

const isReason = (word: string, kernelReasons: ReadonlyMap<number, string>): boolean =>
  reasons.some(({ name }) => name === word) || [...kernelReasons.values()].includes(word);

function networkTest({ address, length }: NonNullable<Filter["network"]>): (event: Happened) => boolean {
  const mask = maskOf(length);
  const isIn = (word: string | undefined) => word !== undefined && (((parseAddress(word) ?? 0) ^ address) & mask) === 0;
  return ({ source, destination, peer }) => isIn(source) || isIn(destination) || isIn(peer);
}

function unknownReason(word: string): UsageError {
  const names = reasons.filter(({ verdict }) => verdict === "drop").map(({ name }) => name);
  return new UsageError(`--reason ${word} is no reason`, {
    remedy: `use one of docs/reasons.md: ${names.join(", ")}, …`,
  });
}
