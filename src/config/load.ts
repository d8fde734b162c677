/** From files to a checked config: the main file, and the tenants beside it. Reports all errors, not the first only. */

import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { ConfigError, type Problem } from "../errors.js";
import { checkConfig } from "./check.js";
import { FileCache } from "./file-cache.js";
import type { Finding, Path } from "./finding.js";
import { describeIssues } from "./issues.js";
import { apiVersion, type Config, type ConfigTenant, headSchema, tenantSchema } from "./schema.js";
import { problemAt, type Source, SourceError } from "./source.js";

export interface LoadedConfig {
  readonly config: Config;
  /** What is allowed but hardly meant. */
  readonly warnings: readonly Problem[];
  /** Every file read, the main one first: what a daemon watches, with `tenantsDir`. */
  readonly files: readonly string[];
  /** Where more tenants may appear; need not exist. */
  readonly tenantsDir: string;
  /** Which of the tenants are a file's of `tenantsDir`: the first, and how many. */
  readonly placeOf: ReadonlyMap<string, { readonly first: number; readonly count: number }>;
  readonly sources: Sources;
}

/** A config, and where each of its values stands. */
export interface PlacedConfig extends LoadedConfig {
  /** Of the nearest thing above, for a path that is not there. */
  locate(path: Path): Place;
}

export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** What a config was made of. */
export interface Sources {
  readonly main: Source;
  /** By the tenant's index in the config. */
  readonly tenants: readonly TenantAt[];
}

/**
 * Where a path of a config stands: see `PlacedConfig.locate`.
 *
 * @param charactersMax undefined is returned where the text is longer
 */
export function locateIn({ main, tenants }: Sources, path: Path, charactersMax: number): Place | undefined {
  const [first, index] = path;
  const at = first === "tenants" && typeof index === "number" ? tenants[index] : undefined;
  if ((at?.source ?? main).characters > charactersMax) return undefined;
  return placeIn(main, tenants, path);
}

function placeIn(main: Source, tenants: readonly TenantAt[], path: Path): Place {
  const { file, line, column } = toProblem(main, tenants, { path, message: "", remedy: "" });
  return { file, line, column };
}

/** A tenant as it stands in a file. */
export interface TenantAt {
  readonly source: Source;
  /** Path of the tenant inside its source. */
  readonly base: Path;
  readonly value: unknown;
}

/**
 * Loads and checks the config at `file` with the tenants of `tenants.d/*.yaml` beside it. Tenants of files that have not
 * changed since the last time with the same cache are the same objects.
 *
 * @param instead read in place of the main file
 * @throws ConfigError with every problem that can be seen at once
 */
export async function loadConfig(file: string, cache = new FileCache(), instead?: Source): Promise<PlacedConfig> {
  const errors: Problem[] = [];
  const warnings: Problem[] = [];
  const breathe = breather();
  const tenantsDir = join(dirname(file), "tenants.d");
  const main = instead ?? (await tryRead(file, cache, errors));
  const files = [instead?.file ?? file];
  const beside: Source[] = [];
  if (!main || !isOtherVersion(main))
    for (const path of await tenantFiles(tenantsDir, errors, warnings)) {
      files.push(path);
      const known = cache.known(path);
      if (!known) await breathe();
      const source = known ?? (await tryRead(path, cache, errors));
      if (source) beside.push(source);
    }
  cache.sweep();
  return check({ main, beside, files, tenantsDir, errors, warnings, cache });
}

/**
 * Checks a config that a program has made, which is what a file would have in it. Its problems have no line.
 *
 * @throws ConfigError with every problem that can be seen at once
 */
export function checkConfigValue(value: unknown, cache = new FileCache()): LoadedConfig {
  const main: Source = { file: "config", value, characters: 0, locate: () => ({ line: 0, column: 0 }) };
  return check({ main, beside: [], files: [], tenantsDir: "tenants", errors: [], warnings: [], cache });
}

interface Read {
  readonly main: Source | undefined;
  /** Of tenants.d. */
  readonly beside: readonly Source[];
  readonly files: readonly string[];
  readonly tenantsDir: string;
  readonly errors: Problem[];
  readonly warnings: Problem[];
  readonly cache: FileCache;
}

function check({ main, beside, files, tenantsDir, errors, warnings, cache }: Read): PlacedConfig {
  const head = main && parseHead(main, errors);
  if (main && head === "otherVersion") throw new ConfigError(errors, warnings);
  const found: TenantAt[] = main ? listOf(main, ["tenants"]) : [];
  const placeOf = new Map<string, { first: number; count: number }>();
  for (const source of beside) {
    const ofFile = tenantsOf(source, errors);
    placeOf.set(source.file, { first: found.length, count: ofFile.length });
    found.push(...ofFile);
  }
  const tenants = found.flatMap((at) => {
    const tenant = parseTenant(at, cache, errors);
    return tenant ? [{ at, tenant }] : [];
  });

  if (!main) throw new ConfigError(errors, warnings);
  // With a broken head, the tenants are still checked against each other.
  const parsedHead = typeof head === "object" ? head : undefined;
  const config = assemble(
    parsedHead,
    tenants.map(({ tenant }) => tenant),
  );
  const places = tenants.map(({ at }) => at);
  const placed = (finding: Finding) => toProblem(main, places, finding);
  const locate = (path: Path) => placeIn(main, places, path);
  const showPlace = (path: Path) => {
    const { file: where, line, column } = locate(path);
    return `${where}:${line}:${column}`;
  };
  const checked = checkConfig(config, { placeOf: showPlace, headIsValid: parsedHead !== undefined });
  for (const finding of checked.errors) errors.push(placed(finding));
  for (const finding of checked.warnings) warnings.push(placed(finding));
  if (errors.length === 0 && tenants.length === 0) {
    warnings.push(
      problemAt(main, [], "there are no tenants, so nothing is forwarded", `add some here or in ${tenantsDir}`),
    );
  }
  if (errors.length > 0) throw new ConfigError(inFileOrder(errors, files), inFileOrder(warnings, files));
  const sources = { main, tenants: places };
  return { config, warnings: inFileOrder(warnings, files), files, tenantsDir, placeOf, sources, locate };
}

/** Reading thousands of files takes seconds, in which a daemon has to feed its watchdog and answer. Milliseconds. */
const breathMs = 50;

function breather(): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < breathMs) return;
    await nextTurn();
    last = performance.now();
  };
}

async function tryRead(file: string, cache: FileCache, errors: Problem[]): Promise<Source | undefined> {
  try {
    return await cache.read(file);
  } catch (thrown) {
    if (!(thrown instanceof SourceError)) throw thrown;
    errors.push(...thrown.problems);
    return undefined;
  }
}

type Head = Omit<Config, "tenants" | "nics"> & { readonly nics?: Config["nics"] | undefined };

const isOtherVersion = ({ value }: Source) =>
  isRecord(value) && value.apiVersion !== undefined && value.apiVersion !== apiVersion;

/** The main file without its tenants. A file in another version's language gets one error, not one a line. */
function parseHead(main: Source, errors: Problem[]): Head | "otherVersion" | undefined {
  const { value } = main;
  if (isRecord(value) && isOtherVersion(main)) {
    const remedy = `this xgw reads ${apiVersion}: write that and adapt the file, or use the xgw that the file was written for`;
    errors.push(problemAt(main, ["apiVersion"], `the version is ${JSON.stringify(value.apiVersion)}`, remedy));
    return "otherVersion";
  }
  const result = headSchema.safeParse(value);
  if (result.success) {
    const { tenants: _, ...head } = result.data;
    return head;
  }
  for (const finding of describeIssues(headSchema, value, result.error.issues)) {
    errors.push(problemAt(main, finding.path, finding.message, finding.remedy));
  }
  return undefined;
}

function assemble(head: Head | undefined, tenants: ConfigTenant[]): Config {
  const base: Head = head ?? {
    apiVersion,
    instance: "default",
    underlay: { device: "", address: "" },
    nics: [],
    host: { forward: false },
    flows: 0,
    limits: {},
  };
  return { ...base, nics: base.nics ?? [{ name: base.underlay.device, xdp: "native" }], tenants };
}

/** Whether a file of that name in tenants.d is looked at. Hidden ones are editors' and not ours. */
export const isVisibleYaml = (name: string): boolean => /^[^.].*\.ya?ml$/.test(name);

/** Those of tenants.d, sorted. */
async function tenantFiles(directory: string, errors: Problem[], warnings: Problem[]): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException;
    if (code === "ENOENT") return [];
    const why = code === "EACCES" ? "permission denied" : message;
    const remedy = "make it a directory that xgw's user may read";
    errors.push({ file: directory, line: 0, column: 0, path: "", message: `cannot be listed (${why})`, remedy });
    return [];
  }
  const visible = names.filter(isVisibleYaml).sort();
  for (const name of visible.filter((candidate) => candidate.endsWith(".yml"))) {
    const remedy = "rename it to .yaml";
    warnings.push({
      file: join(directory, name),
      line: 0,
      column: 0,
      path: "",
      message: "the file is ignored",
      remedy,
    });
  }
  return visible.filter((name) => name.endsWith(".yaml")).map((name) => `${directory}/${name}`);
}

function listOf(source: Source, base: Path): TenantAt[] {
  let list = source.value;
  for (const step of base) list = isRecord(list) ? list[step as string] : undefined;
  return Array.isArray(list) ? list.map((value, index) => ({ source, base: [...base, index], value })) : [];
}

/** A file of `tenants.d`: one tenant, or a list of them. */
export function tenantsOf(source: Source, errors: Problem[]): TenantAt[] {
  if (Array.isArray(source.value)) return listOf(source, []);
  if (isRecord(source.value) && "tenants" in source.value) {
    const remedy =
      "a file in tenants.d is one tenant's fields or a list of tenants: remove the line and the indentation";
    errors.push(problemAt(source, ["tenants"], 'the field "tenants" has no place here', remedy));
    return [];
  }
  return [{ source, base: [], value: source.value }];
}

export function parseTenant(
  { source, base, value }: TenantAt,
  cache: FileCache,
  errors: Problem[],
): ConfigTenant | undefined {
  const result = cache.derive(value, () => tenantSchema.safeParse(value));
  if (result.success) return result.data;
  for (const finding of describeIssues(tenantSchema, value, result.error.issues)) {
    errors.push(problemAt(source, [...base, ...finding.path], finding.message, finding.remedy));
  }
  return undefined;
}

/** A finding of the whole config, whose `tenants[i]` may lie in any file, at its place. */
function toProblem(main: Source, tenants: readonly TenantAt[], { path, message, remedy }: Finding): Problem {
  const [first, index, ...rest] = path;
  const at = first === "tenants" && typeof index === "number" ? tenants[index] : undefined;
  return at ? problemAt(at.source, [...at.base, ...rest], message, remedy) : problemAt(main, path, message, remedy);
}

function inFileOrder(problems: readonly Problem[], files: readonly string[]): Problem[] {
  if (problems.length < 2) return [...problems];
  const ranks = new Map(files.map((file, index) => [file, index]));
  const rank = (file: string) => ranks.get(file) ?? files.length;
  return [...problems].sort((a, b) => rank(a.file) - rank(b.file) || a.line - b.line || a.column - b.column);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
