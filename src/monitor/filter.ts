/** Which events are meant. */

import { UsageError } from "../errors.js";
import { type Filter, type FilterWords, parseFilter, protocolName } from "../flow/filter.js";
import { maskOf, parseAddress } from "../model/ipv4.js";
import type { MonitorEvent } from "./schema.js";

export const kinds = ["drop", "flow", "daemon"] as const;
export type Kind = (typeof kinds)[number];

export interface EventWords extends Pick<FilterWords, "tenant" | "net" | "port" | "protocol"> {
  readonly kind?: readonly string[] | undefined;
  readonly reason?: readonly string[] | undefined;
}

interface Named {
  readonly name: string;
  readonly key: number;
  readonly id: number;
}

/**
 * What is left out is told of whatever is meant.
 *
 * @throws UsageError
 */
export function eventTest(words: EventWords, tenants: readonly Named[]): (event: MonitorEvent) => boolean {
  const { kind, reason, tenant, net, port, protocol } = words;
  const filter = parseFilter({ tenant, net, port, protocol }, tenants);
  const key = tenant === undefined ? undefined : tenants.find(({ id }) => filter.tenants?.has(id))?.key;
  for (const word of kind ?? [])
    if (!(kinds as readonly string[]).includes(word))
      throw new UsageError(`--kind ${word} is no kind of event`, { remedy: `use ${kinds.join(", ")}` });
  const isOfPacket = net !== undefined || port !== undefined || protocol !== undefined;
  return (event) => {
    if (event.kind === "left_out") return true;
    if (kind && !kind.includes(kindOf(event))) return false;
    if (kindOf(event) === "daemon") return key === undefined && !reason && !isOfPacket;
    if (!("bytes" in event || "arrivesBy" in event)) return false;
    if (key !== undefined && (event.key !== key || event.tenant === undefined)) return false;
    if (reason && !reason.includes(event.reason) && !("verdict" in event && reason.includes(event.verdict ?? "")))
      return false;
    return !isOfPacket || isMeant(event.packet, filter);
  };
}

function isMeant(
  packet: Extract<MonitorEvent, { kind: "drop" }>["packet"],
  { network, port, protocol }: Pick<Filter, "network" | "port" | "protocol">,
): boolean {
  if (!packet) return false;
  const isIn = (address: string) =>
    network !== undefined && (((parseAddress(address) ?? 0) ^ network.address) & maskOf(network.length)) === 0;
  if (network && !isIn(packet.source) && !isIn(packet.destination)) return false;
  if (port !== undefined && packet.sourcePort !== port && packet.destinationPort !== port) return false;
  return protocol === undefined || packet.protocol === protocolName(protocol);
}

export function kindOf({ kind }: MonitorEvent): Kind | "left_out" {
  if (kind === "drop" || kind === "left_out") return kind;
  return kind === "flow_born" || kind === "flow_died" || kind === "flow_redecided" ? "flow" : "daemon";
}
