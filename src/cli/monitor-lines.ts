/** What `xgw monitor` shows people: an event in a line, cut at 80 columns. */

import type { Happened, LeftOut } from "../monitor/schema.js";
import { tupleWords, wrapped } from "./flow-lines.js";

const kindWords = {
  drop: "drop",
  kernel_drop: "drop by the kernel",
  flow_born: "flow born",
  flow_died: "flow died",
} as const;

/** Of the day, UTC. */
const clock = (time: string): string => time.slice(11, -1);

export function eventLines(event: Happened): string[] {
  const whose = event.tenant ?? (event.key ? `key ${event.key}` : "nobody");
  const why = event.kind === "flow_born" ? "" : ` ${event.reason}`;
  const head = `${clock(event.time)} ${whose} ${kindWords[event.kind]}${why}`;
  return wrapped([`${head}: ${event.protocol} ${tupleWords(event)}`, ...detailWords(event)].join(", "), 4);
}

/** The same for a packet's comment: without what the packet itself says. */
export const commentOf = (event: Happened): string =>
  [
    `${event.kind === "drop" ? "xgw" : "kernel"} drop ${event.reason}`,
    `tenant ${event.tenant ?? "none"}`,
    ...ruleWords(event),
  ].join(", ");

function detailWords(event: Happened): string[] {
  const peer = event.kind === "flow_born" ? "to" : "from";
  return [
    ...(event.peer === undefined ? [] : [`${peer} ${event.peer}`]),
    ...ruleWords(event),
    ...(event.bytes === undefined ? [] : [`${event.bytes} bytes`]),
  ];
}

function ruleWords({ reason, rule }: Happened): string[] {
  if (!rule) return reason === "policy" ? ["no rule matched"] : [];
  const { direction, place, name } = rule;
  const where = place ? ` at ${place.file}:${place.line}` : "";
  return [`rule ${direction}:${rule.rule}${where}${name === undefined ? "" : ` (${name})`}`];
}

export function leftOutLines({ time, overShare, full }: LeftOut): string[] {
  const parts = [
    ...(overShare > 0 ? [`${overShare} over a tenant's share of events`] : []),
    ...(full > 0 ? [`${full} because this monitor was too slow`] : []),
  ];
  return wrapped(`${clock(time)} left out: ${parts.join(", ")}`, 4);
}
