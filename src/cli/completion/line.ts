/** Which words may stand where the cursor is, by the table of commands. Looks nothing up. */

import type { Options } from "yargs";
import type { Command, NameKind } from "../command.js";
import { defaultConfigFile, globalOptions } from "../global-options.js";

export interface Candidate {
  readonly word: string;
  readonly meaning?: string;
}

/** What may stand where the cursor is. */
export interface Completion {
  /** The beginning of the word at the cursor, or of an option's value behind `=`. */
  readonly begun: string;
  /** What stands in front of it in the same word: `--tenant=`, or nothing. */
  readonly before: string;
  readonly candidates: readonly Candidate[];
  /** Names that may stand there, too. */
  readonly names: NameKind | undefined;
  /** Of the words before: what names depend on. */
  readonly configFile: string;
  readonly instance: string | undefined;
  readonly tenant: string | undefined;
}

/** What an option or a positional takes that has this name, in every command. */
const kindByName: Readonly<Record<string, NameKind>> = {
  tenant: "tenants",
  instance: "instances",
  device: "devices",
  nic: "devices",
  rule: "rules",
  config: "files",
  file: "files",
  pcap: "files",
};

const helpOptions = {
  help: { alias: "h", type: "boolean", describe: "Show help" },
  version: { alias: "V", type: "boolean", describe: "Show the version number" },
} as const;

type OptionTable = Readonly<Record<string, Options>>;

/** Where a look at the words from the left has come to. */
interface Reading {
  command: Command | undefined;
  verbs: readonly Command[];
  options: OptionTable;
  /** Words of the command that are no options. */
  places: string[];
  /** Name of the option whose value comes next. */
  open: string | undefined;
  readonly values: Map<string, string>;
  isAfterDashes: boolean;
}

/** @param words of the line without the program's name; the last one is at the cursor, and may be empty */
export function completionAt(words: readonly string[], commands: readonly Command[]): Completion {
  const reading: Reading = {
    command: undefined,
    verbs: commands,
    options: { ...globalOptions, ...helpOptions },
    places: [],
    open: undefined,
    values: new Map(),
    isAfterDashes: false,
  };
  for (const word of words.slice(0, -1)) read(word, reading);
  const last = words.at(-1) ?? "";
  const { values } = reading;
  const context = {
    configFile: values.get("config") ?? defaultConfigFile,
    instance: values.get("instance"),
    tenant: values.get("tenant"),
  };
  const [, before = "", name = "", begun = ""] = /^(--([^=]+)=)(.*)$/s.exec(last) ?? [];
  if (before !== "" && !reading.isAfterDashes) return { begun, before, ...valuesOf(name, reading), ...context };
  const there = reading.open === undefined ? wordsAt(last, reading) : valuesOf(reading.open, reading);
  return { begun: last, before: "", ...there, ...context };
}

function read(word: string, reading: Reading): void {
  if (reading.open !== undefined) {
    reading.values.set(reading.open, word);
    reading.open = undefined;
  } else if (reading.isAfterDashes || !/^-./.test(word)) readWord(word, reading);
  else if (word === "--") reading.isAfterDashes = true;
  else readOption(word, reading);
}

function readWord(word: string, reading: Reading): void {
  const verb = reading.verbs.find(({ name }) => name === word);
  if (!verb) return void reading.places.push(word);
  reading.command = verb;
  reading.verbs = verb.verbs ?? [];
  reading.options = { ...reading.options, ...verb.options };
}

/** `--name`, `--name=value`, `-n` or several such letters, of which the last may take a value. */
function readOption(word: string, reading: Reading): void {
  const [, long, , value] = /^--([^=]+)(=(.*))?$/s.exec(word) ?? [];
  const name = long ?? longName(word.slice(-1), reading.options);
  if (name === undefined || !takesValue(reading.options[name])) return;
  if (value === undefined) reading.open = name;
  else reading.values.set(name, value);
}

const longName = (letter: string, options: OptionTable): string | undefined =>
  Object.keys(options).find((name) => options[name]?.alias === letter);

const takesValue = (option: Options | undefined): boolean => option?.type === "string" || option?.type === "number";

type Found = Pick<Completion, "candidates" | "names">;

function valuesOf(name: string, { options }: Reading): Found {
  const option = options[name];
  return { candidates: choicesOf(option), names: takesValue(option) ? kindByName[name] : undefined };
}

const choicesOf = (taken: { readonly choices?: Options["choices"] } | undefined): Candidate[] =>
  [taken?.choices ?? []].flat().map((choice) => ({ word: String(choice) }));

function wordsAt(begun: string, reading: Reading): Found {
  const { command, verbs, places } = reading;
  if (begun.startsWith("-") && !reading.isAfterDashes) return { candidates: optionsOf(reading), names: undefined };
  if (verbs.length > 0 && places.length === 0)
    return { candidates: verbs.map(({ name, summary }) => ({ word: name, meaning: summary })), names: undefined };
  if (!command) return { candidates: [], names: undefined };
  const place = command.places?.[places.length];
  if (typeof place === "string") return { candidates: [], names: place };
  if (place) return { candidates: place.map((word) => ({ word })), names: undefined };
  const name = positionalNames(command)[places.length] ?? "";
  return { candidates: choicesOf(command.positionals?.[name]), names: kindByName[name] };
}

const optionsOf = ({ options }: Reading): Candidate[] =>
  Object.entries(options).map(([name, { describe }]) => ({
    word: `--${name}`,
    ...(describe === undefined ? {} : { meaning: describe }),
  }));

/** Of `<tenant> [other]`, in their order; without those that take many words. */
const positionalNames = ({ positionalUsage = "" }: Command): string[] =>
  [...positionalUsage.matchAll(/[<[]([\w-]+)[>\]]/g)].map(([, name = ""]) => name);
