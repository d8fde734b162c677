/** What `xgw tenant` shows people, at most 80 columns wide as long as no word is longer. */

import { type Tier, tiers } from "../datapath/accounting.js";
import type { Origin } from "../tenant/beside.js";
import type { Device, TenantList, TenantReport } from "../tenant/schema.js";
import { scaled, wrapped } from "./flow-lines.js";

/** One that is not there has no MTU. */
const deviceWords = ({ isUp, mtu }: Device): string =>
  isUp === undefined ? "is not there" : `${isUp ? "up" : "down"}, MTU ${mtu}`;

const limitWords = (limit: number): string => (limit === 0 ? "-" : String(limit));

/** A table: words to the left, the last columns, numbers, to the right. */
function table(rows: readonly (readonly string[])[], numbers: number): string[] {
  const columns = rows[0]?.length ?? 0;
  const widths = Array.from({ length: columns }, (_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, at) => (at < columns - numbers ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

/** A line each. Of the devices it is told what is the matter with them. */
export function listLines(list: TenantList): string[] {
  return table(
    [
      ["TENANT", "DEVICES", "KEY", "MTU", "SESSIONS/LIMIT", "FLOWS"],
      ...list.map(({ name, key, devices, sessions, sessionsLimit, flows }) => [
        name,
        devicesState(devices),
        String(key),
        String(devices.at(-1)?.mtu ?? "-"),
        `${sessions ?? "?"}/${limitWords(sessionsLimit)}`,
        String(flows),
      ]),
    ],
    4,
  );
}

/** Their names say only what kind they are of, and the key. */
function devicesState(devices: readonly Device[]): string {
  const faulty = devices.filter(({ isUp }) => !isUp);
  if (faulty.length === 0) return "up";
  const kind = (name: string) => (name.startsWith("xvrf") ? "VRF" : "tunnel");
  return faulty.map(({ name, isUp }) => `${kind(name)} ${isUp === undefined ? "missing" : "down"}`).join(", ");
}

const indented = (lines: readonly string[], indent = 4): string[] =>
  lines.flatMap((line) => wrapped(`  ${line}`, indent));
const orNone = (lines: readonly string[]): readonly string[] => (lines.length === 0 ? ["none"] : lines);

export function reportLines(report: TenantReport): string[] {
  const { name, key, id, zone, place, devices, limits, connections, forwarded, drops, changes } = report;
  const where = place ? ` (${place.file}:${place.line})` : "";
  const carried = (tier: Tier) => `${tierNames[tier]} ${number(forwarded[tier].packets)}`;
  const bytes = tiers.reduce((sum, tier) => sum + forwarded[tier].bytes, 0);
  const { decidedAnew } = changes;
  const times = decidedAnew === 1 ? "once" : `${decidedAnew} times`;
  return [
    ...wrapped(`${name}: key ${key}, id ${id}, conntrack zone ${zone}${where}`, 2),
    "devices",
    ...indented(devices.map((device) => `${device.name} ${deviceWords(device)}`)),
    "routes",
    ...indented(orNone(report.routes.map(routeLine))),
    "NAT",
    ...indented(orNone(natLines(report.nat))),
    ...policyLines(report.policy),
    ...table(
      [
        ["limits", "IN USE", "LIMIT"],
        ...limits.map(({ resource, used, limit }) => [
          `  ${limitNames[resource] ?? resource}`,
          used === undefined ? "" : String(used),
          limitWords(limit),
        ]),
      ],
      2,
    ),
    ...lossLines(report.losses),
    `connections: ${tiers.map((tier) => `${tierNames[tier]} ${connections[tier]}`).join(", ")}`,
    ...wrapped(`packets forwarded: ${tiers.map(carried).join(", ")}; ${scaled(bytes, "B")}`, 2),
    drops.length === 0 ? "drops: none" : "drops",
    ...indented(
      drops.map(({ by, reason, packets, bytes }) => {
        const counted = `${number(packets).padStart(9)} packets  ${scaled(bytes, "B").padStart(9)}`;
        return `${by === "xdp" ? "XDP" : "nft"}  ${reason.padEnd(24)}${counted}`;
      }),
    ),
    `changes: all flows decided anew ${times} since the maps were made`,
    ...(changes.isUnfinished ? ["  a change goes on, or has not come to its end: see xgw plan"] : []),
  ];
}

const tierNames = { xdp: "XDP", flowtable: "flowtable", stack: "stack" } as const;

const limitNames: Readonly<Record<string, string>> = {
  newPerSecond: "new connections a second",
  flows: "flows, lines of XDP's table",
  templates: "header templates",
  rules: "rules that are counted",
  eventsPerSecond: "events a second",
};

/** In nine characters. */
const number = (value: number): string => (value < 1e8 ? String(value) : scaled(value, ""));

const faultWords = ({ isInKernel, isInConfig }: Origin): string =>
  isInKernel ? (isInConfig === false ? ", not in the config" : "") : ", not in the kernel";

function routeLine({ to, via, device, ...origin }: TenantReport["routes"][number]): string {
  return `${to} via ${via}${device === undefined ? "" : ` by ${device}`}${faultWords(origin)}`;
}

const natLines = ({ publicIps, portForwards, sources }: TenantReport["nat"]): string[] => [
  ...publicIps.map(({ address, to, ...origin }) => `${address} is ${to}, both ways${faultWords(origin)}`),
  ...portForwards.map(forwardLine),
  ...sources.map(({ from, address, ...origin }) => `${from} leave as ${address}${faultWords(origin)}`),
];

const portWords = (from: number, to: number): string => (from === to ? `${from}` : `${from}-${to}`);

function forwardLine(forward: TenantReport["nat"]["portForwards"][number]): string {
  const { address, protocol, port, to, toPort, ...origin } = forward;
  const there = portWords(toPort, toPort + port.to - port.from);
  return `${protocol} ${address}:${portWords(port.from, port.to)} to ${to}:${there}${faultWords(origin)}`;
}

type Rule = TenantReport["policy"]["inbound"]["rules"][number];

/** Where the figures begin: four columns of nine. */
const figuresAt = 80 - 4 * 10;
const figures = (words: readonly string[]): string => words.map((word) => word.padStart(10)).join("");

/** Packets by tier, and denied by XDP and the nft rules together. */
function policyLines({ inbound, outbound, withoutRule }: TenantReport["policy"]): string[] {
  const head = "policy, packets".padEnd(figuresAt) + figures(["XDP", "FLOWTABLE", "STACK", "DENIED"]);
  const carried = (counts: Pick<Rule, Tier>) => tiers.map((tier) => number(counts[tier].packets));
  const total = ({ xdp, nft }: Rule["denied"]) => number(xdp.packets + nft.packets);
  const sides = [
    ["inbound", inbound],
    ["outbound", outbound],
  ] as const;
  return [
    head,
    ...sides.flatMap(([name, { rules, unmatched }]) => [
      ...rules.flatMap((rule) => ruleLines(name, rule, figures([...carried(rule), total(rule.denied)]))),
      ...withFigures(`  ${name} without a match`, figures(["", "", "", total(unmatched)])),
    ]),
    ...withFigures("  without a rule", figures([...carried(withoutRule), ""])),
  ].map((line) => line.trimEnd());
}

function ruleLines(direction: string, { rule, name, place }: Rule, counts: string): string[] {
  const words = `  ${direction}:${rule}${name === undefined ? "" : ` ${name}`}`;
  return [...withFigures(words, counts), ...(place ? wrapped(`    ${place.file}:${place.line}`, 4) : [])];
}

/** Beside the words, or below them where they are long. */
const withFigures = (words: string, counts: string): string[] =>
  words.length < figuresAt
    ? [words.padEnd(figuresAt) + counts]
    : [...wrapped(words, 4), " ".repeat(figuresAt) + counts];

function lossLines(losses: TenantReport["losses"]): string[] {
  const words = {
    flowsEvicted: "flows that gave way",
    flowsRefused: "flows that found no place",
    templatesRefused: "templates that found no place",
    rulesRefused: "rules that found no counter",
    eventsLost: "events that were lost",
  } as const;
  const lines = Object.entries(losses).flatMap(([name, times]) =>
    times > 0 ? [`${words[name as keyof typeof words]}: ${times}`] : [],
  );
  return indented(lines);
}
