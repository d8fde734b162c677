/** A rule of the policy as people know it: what the config says. */

import type { Range } from "./desired.js";
import { anyAddress, formatAddress, formatPrefix } from "./ipv4.js";
import { anyPort, anyProtocol, type PolicyRule } from "./policy.js";

const protocolNames = new Map([
  [1, "icmp"],
  [6, "tcp"],
  [17, "udp"],
]);

/** Such as `allow tcp 22, 8000-8100 from 192.0.2.0/24`. */
export function describeRule(rule: PolicyRule, direction: "inbound" | "outbound"): string {
  const { verdict, protocol, address, ports } = rule;
  const isAnyPort = ports.length === 1 && isSame(ports[0], anyPort);
  const words = [
    verdict,
    isSame(protocol, anyProtocol) ? "any" : (protocolNames.get(protocol.from) ?? `protocol ${protocol.from}`),
    ...(isAnyPort ? [] : [ports.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(", ")]),
    ...(isSame(address, anyAddress) ? [] : [direction === "inbound" ? "from" : "to", describeNetwork(address)]),
  ];
  return words.join(" ");
}

const isSame = (a: Range | undefined, b: Range) => a?.from === b.from && a.to === b.to;

/** The range of a prefix. */
function describeNetwork({ from, to }: Range): string {
  return from === to ? formatAddress(from) : formatPrefix({ address: from, length: 32 - Math.log2(to - from + 1) });
}
