/** What `xgw monitor` shows people: a line an event, in the manner of tcpdump; what is wider than 80 columns goes on below. */

import { basename } from "node:path";
import type { LeftOut, MonitorEvent } from "../monitor/schema.js";
import { tupleWords, wrapped } from "./flow-lines.js";

/** What goes on below stands behind the time. */
const indent = "hh:mm:ss.uuuuuu ".length;

/** @param isWide a line is a line, however long: for what is no terminal */
export function eventLines(event: MonitorEvent, isWide: boolean): string[] {
  const line = `${event.time.slice(11, -1)} ${words(event)}`;
  return isWide ? [line] : wrapped(line, indent);
}

function words(event: MonitorEvent): string {
  switch (event.kind) {
    case "drop": {
      const { by, reason, verdict, packet, endpoint, rule, device, bytes } = event;
      const parts = [
        ...(packet ? [`${packet.protocol} ${tupleWords(packet)}`] : []),
        ...(endpoint === undefined ? [] : [`from ${endpoint}`]),
        ...(rule ? [ruleWords(rule)] : reason === "policy" ? ["no rule admits it"] : []),
        ...(device === undefined ? [] : [`on ${device}`]),
        `${bytes} bytes`,
      ];
      const why = verdict ? `${reason} (${verdict})` : reason;
      return `${whose(event)} drop ${by === "kernel" ? `by kernel, ${why}` : why}: ${parts.join(", ")}`;
    }
    case "flow_born":
    case "flow_died":
    case "flow_redecided": {
      const { packet, kind, reason, arrivesBy } = event;
      const what = kind === "flow_born" ? "flow born" : `flow ${kind.slice("flow_".length)} (${reason})`;
      return `${whose(event)} ${what}: ${packet.protocol} ${tupleWords(packet)}, ${arrivesBy}`;
    }
    case "config":
    case "repair":
    case "redecide":
    case "daemon": {
      const details = event.details && event.details.length > 0 ? `: ${event.details.join("; ")}` : "";
      return `${event.kind === "daemon" ? "-" : "daemon"} ${event.what}${details}`;
    }
    case "left_out":
      return `- left out: ${leftOutWords(event)}`;
  }
}

const whose = ({ tenant, key }: { readonly tenant?: string | undefined; readonly key?: number | undefined }): string =>
  tenant ?? (key === undefined ? "nobody" : `key ${key}`);

type Rule = NonNullable<Extract<MonitorEvent, { kind: "drop" }>["rule"]>;

function ruleWords({ direction, rule, name, place }: Rule): string {
  const where = place ? ` ${basename(place.file)}:${place.line}` : "";
  return `rule ${direction}:${rule}${where}${name === undefined ? "" : ` (${name})`}`;
}

function leftOutWords({ drops, kernelDrops, eventsLost }: LeftOut): string {
  const parts = drops.map((drop) => `${counted(drop.packets, "drop")} of ${whose(drop)} (${drop.reason})`);
  if (kernelDrops > 0) parts.push(`${counted(kernelDrops, "drop")} by kernel`);
  if (eventsLost > 0) parts.push(`${counted(eventsLost, "event")} lost`);
  return parts.join(", ");
}

const counted = (number: number, what: string): string => `${number} ${what}${number === 1 ? "" : "s"}`;
