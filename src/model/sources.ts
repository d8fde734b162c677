/** Which sources of a tenant leave under its shared public address. Pure. */

import type { Range } from "./desired.js";
import { parsePrefix, rangeOf } from "./ipv4.js";

/** RFC 1918 and RFC 6598: networks that no public address lies in. */
const privateRanges = rangesOf(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"]);

/**
 * Those that the config names; else the private ones among the networks that the tenant's routes lead to. Disjoint and
 * in order, neighbours in one.
 */
export function sharedSources(
  routes: readonly { readonly to: string }[],
  named: readonly string[] | undefined,
): Range[] {
  if (named) return union(rangesOf(named));
  const routed = rangesOf(routes.map(({ to }) => to));
  return union(routed.filter((route) => privateRanges.some(({ from, to }) => from <= route.from && route.to <= to)));
}

function rangesOf(prefixes: readonly string[]): Range[] {
  return prefixes.flatMap((text) => {
    const prefix = parsePrefix(text);
    return prefix ? [rangeOf(prefix)] : [];
  });
}

/** The kernel takes no two elements that overlap. */
function union(ranges: readonly Range[]): Range[] {
  const joined: Range[] = [];
  for (const range of [...ranges].sort((a, b) => a.from - b.from)) {
    const last = joined.at(-1);
    if (last && range.from <= last.to + 1)
      joined[joined.length - 1] = { from: last.from, to: Math.max(last.to, range.to) };
    else joined.push(range);
  }
  return joined;
}
