/** Names of devices, remembered: one that is not known is asked for, but not more often than once a second. */

import { readLinks } from "../kernel/rtnetlink.js";

const askAgainMs = 1000;

export function deviceNames(): (ifindex: number) => string | undefined {
  let names: ReadonlyMap<number, string> = new Map();
  let askedAt = Number.NEGATIVE_INFINITY;
  return (ifindex) => {
    if (ifindex !== 0 && !names.has(ifindex) && performance.now() - askedAt > askAgainMs) {
      askedAt = performance.now();
      names = new Map(readLinks().map((link) => [link.ifindex, link.name]));
    }
    return names.get(ifindex);
  };
}
