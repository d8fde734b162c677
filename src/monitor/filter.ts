/** Which events are meant. */

import { UsageError } from "../errors.js";
import { type Filter, type FilterWords, parseFilter, protocolName } from "../flow/filter.js";
import { maskOf, parseAddress } from "../model/ipv4.js";
import type { LeftOut, MonitorEvent } from "./schema.js";

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
 * Gives an event that is meant, or undefined. Of what was left out it gives those of the tenant and with the reason; the rest
 * of the filter cannot be asked of counts.
 *
 * @throws UsageError
 */
export function eventFilter(
  words: EventWords,
  tenants: readonly Named[],
): (event: MonitorEvent) => MonitorEvent | undefined {
  const { kind, reason, tenant, net, port, protocol } = words;
  const filter = parseFilter({ tenant, net, port, protocol }, tenants);
  const key = tenant === undefined ? undefined : tenants.find(({ id }) => filter.tenants?.has(id))?.key;
  for (const word of kind ?? [])
    if (!(kinds as readonly string[]).includes(word))
      throw new UsageError(`--kind ${word} is no kind of event`, { remedy: `use ${kinds.join(", ")}` });
  const isOfPacket = net !== undefined || port !== undefined || protocol !== undefined;
  const isOf = (event: { readonly tenant?: string | undefined; readonly key?: number | undefined }) =>
    key === undefined || (event.key === key && event.tenant !== undefined);
  const hasReason = (word: string | undefined) => !reason || (word !== undefined && reason.includes(word));
  const isShown = (event: Exclude<MonitorEvent, LeftOut>): boolean => {
    if (kind && !kind.includes(kindOf(event))) return false;
    if (!("bytes" in event || "arrivesBy" in event)) return key === undefined && !reason && !isOfPacket;
    const verdict = "verdict" in event ? event.verdict : undefined;
    if (!isOf(event) || !(hasReason(event.reason) || (verdict && hasReason(verdict)))) return false;
    return !isOfPacket || isMeant(event.packet, filter);
  };
  return (event) => {
    if (event.kind !== "left_out") return isShown(event) ? event : undefined;
    const areDropsMeant = !kind || kind.includes("drop");
    const drops = areDropsMeant ? event.drops.filter((drop) => isOf(drop) && hasReason(drop.reason)) : [];
    const kernelDrops = areDropsMeant ? event.kernelDrops : 0;
    return drops.length > 0 || kernelDrops > 0 || event.eventsLost > 0 ? { ...event, drops, kernelDrops } : undefined;
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

function kindOf({ kind }: Exclude<MonitorEvent, LeftOut>): Kind {
  if (kind === "drop") return kind;
  return kind === "flow_born" || kind === "flow_died" || kind === "flow_redecided" ? "flow" : "daemon";
}
