import type { PolicyCell, Range } from "../model/desired.js";
import { compilePolicy, type PolicyRule, PolicyTooLargeError } from "../model/policy.js";
import type { Path, Report } from "./finding.js";
import { type ConfigTenant, protocolNumbers } from "./schema.js";

/** Policies too large to load, rules that decide nothing, and port forwards that the policy keeps shut. */
export function checkPolicy(tenant: ConfigTenant, base: Path, report: Report): void {
  const inbound = compiled(tenant.policy.inbound, [...base, "policy", "inbound"], report);
  const outbound = tenant.policy.outbound && compiled(tenant.policy.outbound, [...base, "policy", "outbound"], report);
  if (outbound) checkOutbound(outbound, tenant, base, report);
  cellCounts.set(tenant, (inbound?.length ?? 0) + (outbound?.length ?? 1));
  if (inbound) checkPortForwards(tenant, inbound, base, report);
}

const cellCounts = new WeakMap<ConfigTenant, number>();

/** In how many pieces the rules of a tenant that was looked at cut each other. */
export const cellsOf = (tenant: ConfigTenant): number => cellCounts.get(tenant) ?? 0;

function compiled(rules: readonly PolicyRule[], path: Path, report: Report): readonly PolicyCell[] | undefined {
  let cells: readonly PolicyCell[];
  try {
    cells = compilePolicy(rules);
  } catch (thrown) {
    if (!(thrown instanceof PolicyTooLargeError)) throw thrown;
    const remedy =
      "use fewer rules that cut across each other: merge prefixes, or name what is allowed instead of what is denied";
    report.error(path, thrown.message, remedy);
    return undefined;
  }
  const deciding = new Set(cells.map((cell) => cell.rule));
  for (const index of rules.keys()) {
    if (deciding.has(index)) continue;
    const remedy = "the first match decides: move the rule up, or remove it";
    report.warn(
      [...path, index],
      "the rule never decides anything, for those above it match all that it names",
      remedy,
    );
  }
  return cells;
}

/** No list lets everything out, an empty one nothing: one that only denies is hardly meant. */
function checkOutbound(cells: readonly PolicyCell[], { policy }: ConfigTenant, base: Path, report: Report): void {
  if (policy.outbound?.length === 0 || cells.some(({ verdict }) => verdict === "allow")) return;
  const message = "the outbound rules allow nothing, and what no rule allows is denied: no connection can go out";
  report.warn([...base, "policy", "outbound"], message, "add { allow: any } as the last rule, or write [] for none");
}

function checkPortForwards(tenant: ConfigTenant, inbound: readonly PolicyCell[], base: Path, report: Report): void {
  for (const [at, forward] of tenant.portForwards.entries()) {
    const first = (forward.toPort ?? forward.port).from;
    const ports: Range = { from: first, to: first + forward.port.to - forward.port.from };
    const protocol = protocolNumbers[forward.protocol];
    const open = inbound.some(
      (cell) => cell.verdict === "allow" && within(protocol, cell.protocol) && overlap(ports, cell.port),
    );
    if (open) continue;
    const isRange = ports.to > ports.from;
    const name = isRange ? `${ports.from}-${ports.to}` : `${ports.from}`;
    const message = `the inbound policy lets nobody connect to ${forward.protocol} ${isRange ? "ports" : "port"} ${name} behind this port forward`;
    const remedy = `add { allow: ${forward.protocol}, ports: [${name}] } to policy.inbound (policy sees the port after translation)`;
    report.warn([...base, "portForwards", at], message, remedy);
  }
}

function within(value: number, range: Range): boolean {
  return range.from <= value && value <= range.to;
}

function overlap(a: Range, b: Range): boolean {
  return a.from <= b.to && b.from <= a.to;
}
