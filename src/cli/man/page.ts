/** The manual pages, in man(7), of the table of commands: one for `xgw`, and one for each of its verbs. */

import type { Options, PositionalOptions } from "yargs";
import type { Command } from "../command.js";
import { exitMeanings } from "../exit-meanings.js";
import { globalOptions } from "../global-options.js";
import { bold, folded, italic, plain, prose, term } from "./roff.js";

export interface Edition {
  readonly version: string;
  /** YYYY-MM-DD */
  readonly date: string;
}

const files = [
  ["/etc/xgw/xgw.yaml", "The config; tenants may also lie in /etc/xgw/tenants.d/*.yaml"],
  ["/usr/share/doc/xgw/config.md", "Every key of it"],
  ["/sys/fs/bpf/xgw/", "Programs, maps and attachments, which outlive the daemon"],
  ["/run/xgw/", "Locks, and the socket by which `xgw status` asks the daemon; for root alone"],
] as const;

/** In section 8. */
const relatives = ["bpftool", "conntrack", "ip", "nft"] as const;

const introduction =
  "Brings the kernel in step with a config that describes tenants: a VRF each, keyed GRE tunnels, NAT and policy in nftables, and XDP programs that repeat for a connection's packets what the kernel decided for the first ones.";

/** By the file's name. */
export function manPages(commands: readonly Command[], edition: Edition): Map<string, string> {
  const pages = commands.map((command) => [`${pageOf(command)}.8`, verbPage(command, commands, edition)] as const);
  return new Map([["xgw.8", mainPage(commands, edition)], ...pages]);
}

const pageOf = ({ name }: Command): string => `xgw-${name}`;

function mainPage(commands: readonly Command[], edition: Edition): string {
  return pageText([
    ...heading("xgw", "gateway for tenants with overlapping addresses, by eBPF and XDP", edition),
    ".SH SYNOPSIS",
    `${bold("xgw")} ${italic("COMMAND")} [${italic("OPTIONS")}]`,
    ".SH DESCRIPTION",
    ...prose(introduction),
    ".SH COMMANDS",
    ...commands.flatMap((command) => [".TP", `.BR ${plain(pageOf(command))} (8)`, ...prose(command.summary)]),
    ".SH OPTIONS",
    "These are options of every command.",
    ...optionTerms(globalOptions),
    ".SH EXAMPLES",
    ...commands.flatMap(({ examples }) => exampleTerms(examples.slice(0, 1))),
    ...ending(exitMeanings, commands.map(pageOf)),
  ]);
}

function verbPage(command: Command, commands: readonly Command[], edition: Edition): string {
  const { verbs = [], summary, description } = command;
  const others = commands.filter((other) => other !== command).map(pageOf);
  const own = new Map(command.exitStatus);
  const meanings = [...exitMeanings.filter(([code]) => !own.has(code)), ...own].sort(([a], [b]) => a - b);
  return pageText([
    ...heading(pageOf(command), uncapitalised(summary), edition),
    ".SH SYNOPSIS",
    ...(verbs.length > 0 ? verbs : [command]).flatMap((verb, at) => [
      ...(at > 0 ? [".br"] : []),
      ...folded(synopsis(verb, verb === command ? "" : `${command.name} `)),
    ]),
    ".SH DESCRIPTION",
    ...prose(`${summary}.`),
    ...(description === undefined ? [] : [".PP", ...prose(description)]),
    ...verbs.flatMap((verb) => verbSection(verb, command.name)),
    ".SH OPTIONS",
    ...argumentTerms(command),
    ...optionTerms({ ...command.options, ...globalOptions }),
    ".SH EXAMPLES",
    ...(verbs.length > 0 ? verbs : [command]).flatMap(({ examples }) => exampleTerms(examples)),
    ...ending(meanings, ["xgw", ...others]),
  ]);
}

/** Of a verb of a verb: it has no page of its own. */
const verbSection = (verb: Command, before: string): string[] => [
  `.SS xgw ${plain(`${before} ${verb.name}`)}`,
  ...prose(`${verb.summary}.`),
  ...(verb.description === undefined ? [] : prose(verb.description)),
  ...argumentTerms(verb),
  ...optionTerms(verb.options),
];

function heading(name: string, summary: string, { version, date }: Edition): string[] {
  const title = `.TH ${plain(name.toUpperCase())} 8 ${date} "xgw ${version}" "System administration"`;
  return [title, ".SH NAME", ...folded(`${plain(name)} \\- ${plain(summary)}`)];
}

const uncapitalised = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);

/** Words of the usage: `<name>` has to be given, `[name]` may be, `[name..]` any number of times. */
function synopsis({ name, positionalUsage = "" }: Command, before: string): string {
  const words = [...positionalUsage.matchAll(/([<[])([\w-]+)(\.\.)?[>\]]/g)].map(
    ([, bracket, word = "", many = ""]) => {
      const text = italic(word) + (many ? " ..." : "");
      return bracket === "[" ? `[${text}]` : text;
    },
  );
  return [bold(`xgw ${before}${name}`), ...words, `[${italic("OPTIONS")}]`].join(" ");
}

const argumentTerms = ({ positionals = {} }: Command): string[] =>
  Object.entries(positionals).flatMap(([name, positional]) => term(italic(name), meaningOf(positional)));

const optionTerms = (options: Readonly<Record<string, Options>>): string[] =>
  Object.entries(options).flatMap(([name, option]) => term(optionName(name, option), meaningOf(option)));

function optionName(name: string, { alias, type, choices }: Options): string {
  const isValued = type === "string" || type === "number";
  const words = [choices].flat().filter((choice) => choice !== undefined);
  const value = words.length > 0 ? words.map((word) => bold(String(word))).join("|") : italic(name.toUpperCase());
  const names = [...(alias === undefined ? [] : [`-${alias}`]), `--${name}`].map(bold).join(", ");
  return isValued ? `${names} ${value}` : names;
}

function meaningOf({ describe = "", ...taken }: Options | PositionalOptions): string {
  const { default: value } = taken as { readonly default?: unknown };
  return Array.isArray(value) || value === undefined ? `${describe}.` : `${describe}. Default: ${value}.`;
}

const exampleTerms = (examples: Command["examples"]): string[] =>
  examples.flatMap(([line, meaning]) => term(bold(line), meaning));

function ending(meanings: readonly (readonly [number, string])[], pages: readonly string[]): string[] {
  return [
    ".SH EXIT STATUS",
    ...meanings.flatMap(([code, meaning]) => term(String(code), meaning)),
    ".SH FILES",
    ...files.flatMap(([path, meaning]) => term(italic(path), meaning)),
    ".SH SEE ALSO",
    ...[...pages, ...relatives].map((page, at, { length }) => `.BR ${plain(page)} (8)${at < length - 1 ? "," : ""}`),
  ];
}

const pageText = (lines: readonly string[]): string => `${lines.join("\n")}\n`;
