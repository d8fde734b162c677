/** The rules of the list besides the one that decides, and why each does not: for who wonders about the order. */

import type { Range } from "../model/desired.js";
import { formatAddress, parseAddress } from "../model/ipv4.js";
import type { PolicyRule } from "../model/policy.js";

/** A packet as the rules see it: the far side's address, and the port after DNAT. */
export interface Judged {
  readonly protocol: number;
  readonly address: string;
  readonly port: number;
}

export interface NearRule {
  /** Index in the list. */
  readonly rule: number;
  readonly why: string;
  /** Of protocol, address and port, how many fit. */
  readonly fits: number;
}

const isIn = ({ from, to }: Range, value: number) => from <= value && value <= to;

/**
 * The nearest of them, the nearest first: those that fit in more, and of those the first ones of the list.
 *
 * @param decides index of the rule that decides; undefined: none does
 */
export function nearRules(
  rules: readonly PolicyRule[],
  judged: Judged,
  decides: number | undefined,
  most = 3,
): NearRule[] {
  return rules
    .flatMap((rule, at) => (at === decides ? [] : [look(rule, at, judged, decides)]))
    .filter(({ fits }) => fits >= 2)
    .sort((a, b) => b.fits - a.fits || a.rule - b.rule)
    .slice(0, most);
}

function look(rule: PolicyRule, at: number, judged: Judged, decides: number | undefined): NearRule {
  const { protocol, address, ports } = rule;
  const misses = [
    ...(isIn(protocol, judged.protocol) ? [] : [`it is of another protocol than ${judged.protocol}`]),
    ...(isIn(address, parseAddress(judged.address) ?? 0)
      ? []
      : [`${judged.address} is not in ${formatAddress(address.from)}-${formatAddress(address.to)}`]),
    ...(ports.some((port) => isIn(port, judged.port)) ? [] : [`port ${judged.port} is not one of its ports`]),
  ];
  const fits =
    decides === undefined ? "it fits, but is not in force (xgw plan)" : `it fits, but rule ${decides} comes first`;
  const why = misses.length > 0 ? misses.join(", and ") : fits;
  return { rule: at, why, fits: 3 - misses.length };
}
