/** What `xgw flow` shows people, at most 80 columns wide as long as no word is longer. */

import type { Listed, Rule, Shown, ShownDirection, Top, Why } from "../flow/schema.js";

type Tuple = Listed["original"];

const width = 80;

/** A line cut at spaces; what does not fit goes on below, so far in. */
export function wrapped(line: string, indent: number): string[] {
  if (line.length <= width) return [line];
  const cut = line.lastIndexOf(" ", width);
  const isIndent = line.slice(0, cut).trim() === "";
  if (cut < 0 || isIndent) return [line];
  return [line.slice(0, cut), ...wrapped(" ".repeat(indent) + line.slice(cut + 1), indent)];
}

const end = (address: string, port: number): string => (port === 0 ? address : `${address}:${port}`);
export const tupleWords = ({ source, sourcePort, destination, destinationPort }: Tuple): string =>
  `${end(source, sourcePort)} > ${end(destination, destinationPort)}`;

const steps = ["", "k", "M", "G", "T", "P"] as const;

/** Three digits or so, such as `1.21 MB`. */
export function scaled(number: number, unit: string): string {
  const step = number < 1000 ? 0 : Math.min(steps.length - 1, Math.floor(Math.log10(number) / 3));
  const value = number / 1000 ** step;
  const digits = step === 0 ? Math.round(value) : value.toPrecision(3);
  return `${Number(digits)} ${steps[step]}${unit}`;
}

/** Such as `3.1 s` or `2 h 5 min`. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${Number(seconds.toFixed(1))} s`;
  const whole = Math.round(seconds);
  const parts = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ] as const;
  const first = parts.findIndex(([number]) => number > 0);
  const shown = parts.slice(first, first + 2).filter(([number]) => number > 0);
  return shown.map(([number, unit]) => `${number} ${unit}`).join(" ");
}

const ruleWords = (rule: Rule | undefined): string => (rule ? `rule ${rule.direction}:${rule.rule}` : "no rule");
const natWords = (nat: Listed["nat"]): string => (nat === "none" ? "no NAT" : nat === "both" ? "snat and dnat" : nat);
const tierWords = { xdp: "XDP", flowtable: "flowtable", stack: "stack" } as const;

/** A connection in three lines: what it is, and each direction as its packets arrive. */
export function listedLines({ tenant, protocol, nat, tier, idleSeconds, ageSeconds, rule, ...row }: Listed): string[] {
  const head = [
    `${tenant}: ${protocol} by ${tierWords[tier]}`,
    natWords(nat),
    ...(idleSeconds === undefined ? [] : [`idle ${duration(idleSeconds)}`]),
    ...(ageSeconds === undefined ? [] : [`known for ${duration(ageSeconds)}`]),
    ruleWords(rule),
  ].join(", ");
  const line = (tuple: Tuple, counted: { packets: number; bytes: number } | undefined) => {
    const counts =
      counted && `${String(counted.packets).padStart(10)} packets ${scaled(counted.bytes, "B").padStart(9)}`;
    return `  ${counts ? `${tupleWords(tuple).padEnd(46)}${counts}` : tupleWords(tuple)}`;
  };
  return [...wrapped(head, 4), line(row.original, row.counted?.original), line(row.reply, row.counted?.reply)];
}

/** Everything that is known of one connection. */
export function shownLines(shown: Shown): string[] {
  const { tenant, key, zone, protocol, nat, tier, ageSeconds, rule, conntrack } = shown;
  const head = [
    `${tenant} (key ${key}, zone ${zone}): ${protocol} by ${tierWords[tier]}`,
    natWords(nat),
    ...(ageSeconds === undefined ? [] : [`known for ${duration(ageSeconds)}`]),
  ].join(", ");
  return [
    ...wrapped(head, 4),
    ...wrapped(`  ${ruleLine(rule)}`, 4),
    ...wrapped(`  ${conntrackLine(conntrack)}`, 4),
    ...directionLines("original", shown.original),
    ...directionLines("reply", shown.reply),
  ];
}

function ruleLine(rule: Shown["rule"]): string {
  if (!rule) return "rule: none had to admit it";
  const name = rule.name === undefined ? "" : `, ${rule.name}`;
  return `rule: ${rule.direction}:${rule.rule}${name}${rule.place ? ` (${rule.place.file}:${rule.place.line})` : ""}`;
}

function conntrackLine(conntrack: Shown["conntrack"]): string {
  if (!conntrack) return "conntrack: has no such connection";
  const { status, state, timeoutSeconds, mark, helper, counted } = conntrack;
  const words = [
    ...(state === undefined ? [] : [state]),
    status.join(" ") || "no status",
    ...(timeoutSeconds === undefined ? [] : [`ends in ${duration(timeoutSeconds)}`]),
    `mark 0x${mark.toString(16)}`,
    ...(helper === undefined ? [] : [`helper ${helper}`]),
    ...(counted ? [`${counted.original.packets} and ${counted.reply.packets} packets`] : []),
  ];
  return `conntrack: ${words.join(", ")}`;
}

function directionLines(name: string, direction: ShownDirection): string[] {
  const { arrives, leaves, tier, xdp, whyNotXdp, whyNotFlowtable } = direction;
  const why = (title: string, whys: readonly Why[]) => whys.flatMap(({ text }) => wrapped(`  ${title}: ${text}`, 4));
  return [
    `${name}, by ${tierWords[tier]}:`,
    `  arrives  ${tupleWords(arrives)}`,
    `  leaves   ${tupleWords(leaves)}`,
    ...(xdp ? lineLines(xdp) : []),
    ...why("not by XDP", whyNotXdp),
    ...why("not by the flowtable", whyNotFlowtable),
  ];
}

function lineLines(xdp: NonNullable<ShownDirection["xdp"]>): string[] {
  const { arrivesBy, packets, bytes, idleSeconds, peer, generation, template } = xdp;
  const counts = `${packets} packets, ${scaled(bytes, "B")}, idle ${duration(idleSeconds)}, generation ${generation}`;
  const from = peer === undefined ? arrivesBy : `${arrivesBy} from ${peer}`;
  const to = template.endpoint === undefined ? "in plain IP" : `to ${template.endpoint}`;
  const doubt = template.unseen > 0 ? `, ${template.unseen} samples not seen to leave` : "";
  const way = `by ${template.device} ${to}, next hop ${template.nextHop}, up to ${template.mtu} bytes${doubt}`;
  return [
    ...wrapped(`  in XDP   ${counts}, ${from}`, 11),
    ...wrapped(`  template ${template.id} (${template.state}): ${way}`, 11),
    ...(template.takesRedirects
      ? []
      : wrapped(`  ${template.device} takes no redirects of XDP's: what came in elsewhere goes by the kernel`, 4)),
  ];
}

/** One interval. */
export function topLines({ at, seconds, flows, rest }: Top): string[] {
  const rates = (bits: number, packets: number) =>
    `${scaled(bits, "bit/s").padStart(11)}  ${scaled(packets, "p/s").padStart(9)}  `;
  return [
    `${at}, over ${duration(seconds)}`,
    ...flows.flatMap(({ tenant, protocol, arrives, bitsPerSecond, packetsPerSecond }) =>
      wrapped(`${rates(bitsPerSecond, packetsPerSecond)}${protocol} ${tupleWords(arrives)} ${tenant}`, 26),
    ),
    `${rates(rest.bitsPerSecond, rest.packetsPerSecond)}${rest.flows} others`,
  ];
}
