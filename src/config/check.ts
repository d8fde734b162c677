/** What needs two places of the config to be seen: clashes, gaps, and rules that cannot mean what they say. */

import { checkLimits, checkPolicySizes, takesMore } from "./check-limits.js";
import { checkPolicy } from "./check-policy.js";
import { checkOwnPublicAddresses, checkPublicAddresses, claimsNothingNew } from "./check-public.js";
import { checkRoutes } from "./check-routes.js";
import { checkNics, checkTenants } from "./check-unique.js";
import { checkUplink } from "./check-uplink.js";
import type { Finding, Path, Report } from "./finding.js";
import type { Config, ConfigTenant } from "./schema.js";

export interface CheckOptions {
  /** `file:line:column` of a path, to name the other place of a clash. */
  placeOf(path: Path): string;
  /** False when instance, underlay and nics are only placeholders, because the main file's own fields are broken. */
  readonly headIsValid: boolean;
}

export interface Checked {
  readonly errors: readonly Finding[];
  readonly warnings: readonly Finding[];
}

/** All findings of a config whose every field is right by itself. */
export function checkConfig(config: Config, options: CheckOptions): Checked {
  const errors: Finding[] = [];
  const warnings: Finding[] = [];
  const report: Report = {
    error: (path, message, remedy) => errors.push({ path, message, remedy }),
    warn: (path, message, remedy) => warnings.push({ path, message, remedy }),
    placeOf: options.placeOf,
  };
  const underlayAddress = options.headIsValid ? config.underlay.address : undefined;
  if (options.headIsValid) {
    checkNics(config, report);
    checkUplink(config, report);
  }
  checkTenants(config.tenants, report);
  checkPublicAddresses(config.tenants, report);
  for (const [index, tenant] of config.tenants.entries()) {
    if (foundRight.get(tenant) === (underlayAddress ?? "")) continue;
    const before = errors.length + warnings.length;
    checkTenant(tenant, ["tenants", index], underlayAddress, report);
    if (errors.length + warnings.length === before) foundRight.set(tenant, underlayAddress ?? "");
  }
  if (options.headIsValid) checkLimits(config, report);
  checkPolicySizes(config, report);
  return { errors, warnings };
}

/** What a tenant has of its own. */
function checkTenant(tenant: ConfigTenant, base: Path, underlayAddress: string | undefined, report: Report): void {
  checkOwnPublicAddresses(tenant, base, underlayAddress, report);
  checkRoutes(tenant, base, underlayAddress, report);
  checkPolicy(tenant, base, report);
}

/**
 * Whether there is nothing to find in a tenant that takes the place of another, in a config that was right with that; not
 * said of one that takes more of what is shared.
 */
export function isRightInstead(tenant: ConfigTenant, of: ConfigTenant, config: Config): boolean {
  const underlayAddress = config.underlay.address;
  if (!claimsNothingNew(tenant, of)) return false;
  let found = 0;
  const count = () => void found++;
  checkTenant(tenant, [], underlayAddress, { error: count, warn: count, placeOf: () => "" });
  if (found === 0) foundRight.set(tenant, underlayAddress);
  return found === 0 && !takesMore(tenant, of, config);
}

/**
 * Tenants that nothing was found about in what they have of their own, with the underlay's address. Those of files that
 * have not changed are the same objects in the next config (file-cache.ts), and are not looked at again.
 */
const foundRight = new WeakMap<ConfigTenant, string>();
