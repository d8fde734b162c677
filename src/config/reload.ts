/**
 * The quick way for an edit of a few files of tenants.d: these alone are read and checked, which takes as long beside
 * thousands of others as beside none.
 */

import type { Problem } from "../errors.js";
import { isRightInstead } from "./check.js";
import type { FileCache } from "./file-cache.js";
import { type LoadedConfig, parseTenant, type TenantAt, tenantsOf } from "./load.js";
import type { ConfigTenant } from "./schema.js";
import { type Source, SourceError } from "./source.js";

/**
 * @param last a config that was right
 * @param files those of its files that may have changed since, and new ones
 * @returns undefined when it takes more than a look at these files to tell what the config is now, or what is wrong with it
 */
export async function reloadFiles(
  last: LoadedConfig,
  files: ReadonlySet<string>,
  cache: FileCache,
): Promise<LoadedConfig | undefined> {
  if (cache.hasLinks || last.warnings.some((warning) => files.has(warning.file))) return undefined;
  const tenants = [...last.config.tenants];
  const places = [...last.sources.tenants];
  for (const file of files) {
    const place = last.placeOf.get(file);
    const found = place && (await readTenants(file, cache));
    if (!place || !found || found.length !== place.count) return undefined;
    for (const [at, { tenant, place: where }] of found.entries()) {
      const before = tenants[place.first + at] as ConfigTenant;
      if (!isRightInstead(tenant, before, last.config)) return undefined;
      tenants[place.first + at] = tenant;
      places[place.first + at] = where;
    }
  }
  if (cache.hasLinks) return undefined;
  cache.sweepOnly(files);
  const sources = { ...last.sources, tenants: places };
  const { config, warnings, files: all, tenantsDir, placeOf } = last;
  return { config: { ...config, tenants }, warnings, files: all, tenantsDir, placeOf, sources };
}

interface ReadTenant {
  readonly tenant: ConfigTenant;
  readonly place: TenantAt;
}

/** Undefined when anything is wrong with them. */
async function readTenants(file: string, cache: FileCache): Promise<ReadTenant[] | undefined> {
  let source: Source;
  try {
    source = await cache.read(file);
  } catch (thrown) {
    if (!(thrown instanceof SourceError)) throw thrown;
    return undefined;
  }
  const problems: Problem[] = [];
  const found = tenantsOf(source, problems).flatMap((place): ReadTenant[] => {
    const tenant = parseTenant(place, cache, problems);
    return tenant ? [{ tenant, place }] : [];
  });
  return problems.length > 0 ? undefined : found;
}
