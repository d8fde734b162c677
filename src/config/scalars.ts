/** The words of the config: addresses, prefixes, ports, names. Each says what is wrong with a value and what to write. */

import { z } from "zod";
import type { Range } from "../model/desired.js";
import {
  formatPrefix,
  maskOf,
  networkOf,
  type Prefix,
  parseAddress,
  parsePrefix,
  rangeOf,
  whyNotUnicast,
} from "../model/ipv4.js";

/** What is wrong with a value, and what to do about it. */
export interface Fault {
  readonly message: string;
  readonly remedy: string;
}

/** Attached to a custom zod issue as `params`, where `issues.ts` finds it. */
export interface FaultParams {
  readonly remedy: string;
  /** Fields of which one should be there: the fault is not reported when another was plainly misspelt for it. */
  readonly missing?: readonly string[];
}

const quadPattern = "(?:(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)\\.){3}(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const prefixPattern = `^${quadPattern}/(?:3[0-2]|[12]?\\d)$`;

/** A string type whose faults come from one function. */
function word(whyNot: (text: string) => Fault | undefined, meta: Record<string, unknown>) {
  return z
    .string()
    .superRefine((text, context) => {
      const fault = whyNot(text);
      if (!fault) return;
      const params: FaultParams = { remedy: fault.remedy };
      context.addIssue({ code: "custom", message: fault.message, params: { ...params } });
    })
    .meta(meta);
}

function whyNotHost(text: string): Fault | undefined {
  const address = parseAddress(text);
  if (address === undefined) {
    const remedy = text.includes("/")
      ? `write the address alone, as in ${text.slice(0, text.indexOf("/")) || "10.0.0.7"}`
      : "write four numbers from 0 to 255, as in 10.0.0.7";
    return { message: `"${text}" is not an IPv4 address`, remedy };
  }
  const why = whyNotUnicast(address);
  return why === undefined ? undefined : { message: `${text} ${why}`, remedy: "give the address of one host" };
}

function notPrefix(text: string): Fault {
  const bare = parseAddress(text) !== undefined;
  return {
    message: bare ? `"${text}" has no prefix length` : `"${text}" is not an IPv4 prefix`,
    remedy: bare
      ? `write ${text}/32 for this one address`
      : "write an address and a length from 0 to 32, as in 10.0.0.0/24",
  };
}

function whyNotNetwork(text: string): Fault | undefined {
  const prefix = parsePrefix(text);
  if (!prefix) return notPrefix(text);
  if ((prefix.address & ~maskOf(prefix.length)) === 0) return undefined;
  const host = formatPrefix({ address: prefix.address, length: 32 });
  return {
    message: `${text} has host bits set`,
    remedy: `write ${formatPrefix(networkOf(prefix))} for the network, or ${host} for the one address`,
  };
}

/** Like a network, but a multicast or loopback destination is refused: a tenant's hosts do not live there. */
function whyNotRoute(text: string): Fault | undefined {
  const fault = whyNotNetwork(text);
  if (fault) return fault;
  const prefix = parsePrefix(text) as Prefix;
  const why = prefix.length === 0 ? undefined : whyNotUnicast(prefix.address);
  return why === undefined ? undefined : { message: `${text} ${why}`, remedy: "give a network of the tenant's hosts" };
}

function whyNotInterface(text: string): Fault | undefined {
  const prefix = parsePrefix(text);
  if (!prefix) {
    const fault = notPrefix(text);
    return text.includes("/") ? fault : { ...fault, remedy: `add the network's length, as in ${text}/24` };
  }
  const why = whyNotUnicast(prefix.address);
  if (why !== undefined) return { message: `${text} ${why}`, remedy: "give the address of one host" };
  if (prefix.length === 0) return { message: `${text} has a length of 0`, remedy: "give the network's real length" };
  const range = rangeOf(prefix);
  if (prefix.length <= 30 && prefix.address === range.from) {
    return { message: `${text} is the network itself, not an address in it`, remedy: "give the gateway's own address" };
  }
  if (prefix.length <= 30 && prefix.address === range.to) {
    return { message: `${text} is the network's broadcast address`, remedy: "give the gateway's own address" };
  }
  return undefined;
}

const deviceNameMax = 15;

function whyNotDevice(text: string): Fault | undefined {
  if (/^x(vrf|gre)\d+$/.test(text)) {
    return { message: `"${text}" is a name that xgw gives to its own devices`, remedy: "rename the network device" };
  }
  if (/^[^\s/:]+$/.test(text) && text !== "." && text !== ".." && Buffer.byteLength(text) <= deviceNameMax)
    return undefined;
  return {
    message: `"${text}" cannot be a network device`,
    remedy: `give a name of 1 to ${deviceNameMax} characters without spaces, slashes or colons, as in eth0`,
  };
}

function named(pattern: RegExp, remedy: string): (text: string) => Fault | undefined {
  return (text) => (pattern.test(text) ? undefined : { message: `"${text}" cannot be a name`, remedy });
}

const instancePattern = /^[a-z0-9][a-z0-9-]{0,14}$/;
const tenantPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

export const instanceName = word(named(instancePattern, "use 1 to 15 of a-z, 0-9 and -, and a letter or digit first"), {
  pattern: instancePattern.source,
});

export const tenantName = word(
  named(tenantPattern, "use 1 to 63 of letters, digits, '.', '_' and '-', and a letter or digit first"),
  { pattern: tenantPattern.source },
);

export const deviceName = word(whyNotDevice, { minLength: 1, maxLength: deviceNameMax });
/** One host's address: no multicast, loopback, broadcast or reserved one. */
export const hostAddress = word(whyNotHost, { pattern: `^${quadPattern}$` });
/** A network: no host bits. */
export const network = word(whyNotNetwork, { pattern: prefixPattern });
/** A network that can be a route's destination. */
export const routeNetwork = word(whyNotRoute, { pattern: prefixPattern });
/** A gateway's own address with its network's length: host bits as they are. */
export const interfaceAddress = word(whyNotInterface, { pattern: prefixPattern });

const listenPattern = `^${quadPattern}:[0-9]{1,5}$`;

function whyNotListen(text: string): Fault | undefined {
  const [, address = "", portText = ""] = /^(.*):(\d+)$/.exec(text) ?? [];
  const number = Number(portText);
  if (parseAddress(address) !== undefined && number >= 1 && number <= 65_535) return undefined;
  const remedy =
    "write an IPv4 address and a port from 1 to 65535, as in 127.0.0.1:9464, or 0.0.0.0:9464 for all addresses";
  return { message: `"${text}" is no address with a port`, remedy };
}

/** An address to listen on and a port. Loopback, and 0.0.0.0 for all, are right here. */
export const listenAddress = word(whyNotListen, { pattern: listenPattern });

/** One port, 1 to 65535. */
const port = z.int().min(1).max(65_535);

const portRangePattern = /^(\d{1,5})-(\d{1,5})$/;

function whyNotPortRange(text: string): Fault | undefined {
  const match = portRangePattern.exec(text);
  if (!match) {
    const remedy = /^\d+$/.test(text)
      ? `write ${Number(text)} without quotes`
      : "write a port, or a range as in 8000-8100";
    return { message: `"${text}" is neither a port nor a range of ports`, remedy };
  }
  const from = Number(match[1]);
  const to = Number(match[2]);
  if (from < 1 || from > 65_535 || to < 1 || to > 65_535) {
    return { message: `${text} is out of range`, remedy: "ports go from 1 to 65535" };
  }
  return from <= to ? undefined : { message: `${text} runs backwards`, remedy: `write ${to}-${from}` };
}

/** A port or a range "8000-8100", as a Range. */
export const portOrRange = z
  .union([port, word(whyNotPortRange, { pattern: portRangePattern.source })])
  .transform((value): Range => {
    if (typeof value === "number") return { from: value, to: value };
    const [from, to] = value.split("-").map(Number) as [number, number];
    return { from, to };
  });
