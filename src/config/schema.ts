/**
 * The config's shape. Unknown fields are errors. What needs two places of the file to be seen (duplicates, routes to
 * nowhere) is in `check.ts`. The descriptions feed the JSON schema, and with it the operator's editor.
 */

import { z } from "zod";
import { maxShiftedPorts, type Range } from "../model/desired.js";
import { anyAddress, type Prefix, parsePrefix, rangeOf } from "../model/ipv4.js";
import { anyPort, anyProtocol, type PolicyRule } from "../model/policy.js";
import {
  deviceName,
  type FaultParams,
  hostAddress,
  instanceName,
  interfaceAddress,
  listenAddress,
  network,
  portOrRange,
  routeNetwork,
  tenantName,
} from "./scalars.js";

export const apiVersion = "xgw/v1";

/** Protocols that have a name in the config, by their IP protocol number. */
export const protocolNumbers = { icmp: 1, tcp: 6, udp: 17 } as const;

const protocolWord = z
  .union([z.enum(["tcp", "udp", "icmp", "any"]), z.int().min(0).max(255)])
  .describe("tcp, udp, icmp, any, or an IP protocol number from 0 to 255.");

type ProtocolWord = z.infer<typeof protocolWord>;

function protocolRange(word: ProtocolWord): PolicyRule["protocol"] {
  if (word === "any") return anyProtocol;
  const number = typeof word === "number" ? word : protocolNumbers[word];
  return { from: number, to: number };
}

function hasPorts(word: ProtocolWord): boolean {
  const { from, to } = protocolRange(word);
  return from === to && (from === protocolNumbers.tcp || from === protocolNumbers.udp);
}

const verdictFields = {
  allow: protocolWord.optional().describe("Let this protocol pass: tcp, udp, icmp, any, or an IP protocol number."),
  deny: protocolWord
    .optional()
    .describe("Drop this protocol, and count it under this rule. The same words as `allow`."),
  ports: z
    .array(portOrRange)
    .min(1)
    .optional()
    .describe(
      "Destination ports after DNAT, each a number or a range such as 8000-8100; tcp and udp only. All when missing.",
    ),
};

interface RuleInput {
  readonly allow?: ProtocolWord | undefined;
  readonly deny?: ProtocolWord | undefined;
  readonly ports?: PolicyRule["ports"] | undefined;
}

/** Faults that need more than one field of a rule to be seen. */
function checkRule(rule: RuleInput, context: z.RefinementCtx<RuleInput>): void {
  const refuse = (path: string[], message: string, params: FaultParams) =>
    context.addIssue({ code: "custom", path, message, params: { ...params }, input: rule });
  if (rule.allow !== undefined && rule.deny !== undefined) {
    const remedy = "make two rules of it; the first that matches decides";
    refuse(["deny"], "a rule either allows or denies", { remedy });
  } else if (rule.allow === undefined && rule.deny === undefined) {
    const remedy = "add `allow:` or `deny:` with tcp, udp, icmp, any or a protocol number";
    refuse([], "the rule neither allows nor denies anything", { remedy, missing: ["allow", "deny"] });
  } else if (rule.ports && !hasPorts((rule.allow ?? rule.deny) as ProtocolWord)) {
    const remedy = "write one rule for tcp and one for udp";
    refuse(["ports"], `ports mean nothing with ${rule.allow ?? rule.deny}`, { remedy });
  }
}

function toRule(rule: RuleInput, farSide: string | undefined): PolicyRule {
  return {
    verdict: rule.allow === undefined ? "deny" : "allow",
    protocol: protocolRange((rule.allow ?? rule.deny) as ProtocolWord),
    address: farSide === undefined ? anyAddress : rangeOf(parsePrefix(farSide) as Prefix),
    ports: rule.ports ?? [anyPort],
  };
}

const eitherVerdict = { oneOf: [{ required: ["allow"] }, { required: ["deny"] }] };

const inboundRule = z
  .strictObject({
    ...verdictFields,
    from: network.optional().describe("Far side: the sources that the rule is about. Everyone when missing."),
  })
  .superRefine(checkRule)
  .transform((rule) => toRule(rule, rule.from))
  .meta(eitherVerdict);

const outboundRule = z
  .strictObject({
    ...verdictFields,
    to: network.optional().describe("Far side: the destinations that the rule is about. Everywhere when missing."),
  })
  .superRefine(checkRule)
  .transform((rule) => toRule(rule, rule.to))
  .meta(eitherVerdict);

const policySchema = z.strictObject({
  inbound: z
    .array(inboundRule)
    .default([])
    .describe(
      "Connections from outside to the tenant. The first rule that matches decides; what none matches is denied. Nothing gets in when missing.",
    ),
  outbound: z
    .array(outboundRule)
    .optional()
    .describe(
      "Connections from the tenant to outside. The first rule that matches decides; what none matches is denied. When missing, everything gets out.",
    ),
  established: z
    .enum(["keep", "drop"])
    .default("drop")
    .describe(
      "What happens to live connections that an edited policy no longer allows: `drop` ends them, `keep` lets them finish.",
    ),
});

const routeSchema = z.strictObject({
  to: routeNetwork.describe("A network, or one address with /32, inside the tenant."),
  via: hostAddress.describe(
    "The tunnel endpoint on the underlay that has it. Only these may send packets with the tenant's key.",
  ),
});

const publicIpSchema = z.strictObject({
  address: hostAddress.describe("The public address."),
  to: hostAddress.describe("The tenant's address that it stands for, both ways."),
});

const portForwardSchema = z
  .strictObject({
    address: hostAddress.describe("The public address; many port forwards of one tenant may share it."),
    protocol: z.enum(["tcp", "udp"]).describe("tcp or udp."),
    port: portOrRange.describe("The public port, or a range such as 8000-8100."),
    to: hostAddress.describe("The tenant's address that it leads to."),
    toPort: portOrRange
      .optional()
      .describe("The port there; of a range the first one, or all of it. The same as `port` when missing."),
  })
  .superRefine(checkForward);

interface ForwardInput {
  readonly port: Range;
  readonly toPort?: Range | undefined;
}

/** Faults of a range that is led to other ports. */
function checkForward({ port, toPort }: ForwardInput, context: z.RefinementCtx<ForwardInput>): void {
  if (!toPort) return;
  const refuse = (path: string, message: string, remedy: string) =>
    context.addIssue({ code: "custom", path: [path], message, params: { remedy }, input: { port, toPort } });
  const count = port.to - port.from + 1;
  const name = `${port.from}-${port.to}`;
  const last = toPort.from + count - 1;
  if (toPort.to !== toPort.from && toPort.to !== last) {
    const remedy = `write ${toPort.from}, or ${toPort.from}-${Math.min(last, 65_535)}`;
    refuse("toPort", `${toPort.from}-${toPort.to} has not as many ports as ${name}`, remedy);
  } else if (last > 65_535) {
    refuse("toPort", `${count} ports from ${toPort.from} on go beyond 65535`, `write ${65_536 - count} or less`);
  } else if (toPort.from !== port.from && count > maxShiftedPorts) {
    const remedy = `leave \`toPort\` out, so that ports stay as they are, or forward ${maxShiftedPorts} at most`;
    refuse("port", `${count} ports are led to others, each of which costs the kernel an element of its own`, remedy);
  }
}

const snatSchema = z.strictObject({
  address: hostAddress.describe("The public address under which the connections leave."),
  from: z
    .array(network)
    .min(1)
    .optional()
    .describe(
      "The tenant's networks that leave under it. When missing, the private ones (RFC 1918, RFC 6598) among its routes.",
    ),
});

const limit = z.int().min(1).max(0xffff_ffff);

const limitsSchema = z.strictObject({
  sessions: limit.optional().describe("Connections that the tenant may have at one time. A share when missing."),
  newPerSecond: limit
    .optional()
    .describe("New connections a second. When missing, a share of the gateway's `limits.newPerSecond`."),
  flows: limit
    .optional()
    .describe("Flows of XDP that nobody may take from the tenant. An equal share of `flows` when missing."),
  templates: limit
    .optional()
    .describe("Header templates that are kept for the tenant: about one for each host. An equal share when missing."),
  rules: limit.optional().describe("Rules of the policy that are counted each by itself. An equal share when missing."),
  eventsPerSecond: limit.optional().describe("Events a second that the tenant causes. An equal share when missing."),
  neighbours: limit
    .optional()
    .describe(
      "Hosts on its tunnel that the kernel knows the tenant by at one time, there or not. A share when missing.",
    ),
});

/**
 * The kernel's table becomes twice that at most (`promisedOf`), and has to keep below 2^30 entries: it is half as many
 * buckets, of which the kernel takes no 2^29 (nf_ct_alloc_hashtable); nf_conntrack_max goes to 2^31 - 1.
 */
const maxSessions = 0x1000_0000;

const capacitiesSchema = z.strictObject({
  sessions: z
    .int()
    .min(1024)
    .max(maxSessions)
    .optional()
    .describe("Connections of all tenants together. 262144 when missing."),
  newPerSecond: limit
    .optional()
    .describe(
      "New connections of all tenants together, a second. When missing 65536, or a quarter of `sessions` if that is more, and tenants' own numbers besides.",
    ),
  neighbours: z
    .int()
    .min(128)
    .max(262_144)
    .optional()
    .describe("Neighbours that the kernel has on all tenants' tunnels. 65536 when missing."),
});

export const tenantSchema = z.strictObject({
  name: tenantName.describe("The tenant's name in logs, metrics and commands. Unique."),
  key: z
    .int()
    .min(0)
    .max(0xffff_ffff)
    .describe("The GRE key of the tenant's packets, 0 to 4294967295. Unique; another key makes another tenant of it."),
  tunnel: z
    .enum(["gretap", "gre"])
    .default("gretap")
    .describe("What the tunnel carries: Ethernet frames (gretap) or IP packets (gre)."),
  addresses: z
    .array(interfaceAddress)
    .default([])
    .describe("The gateway's own addresses inside the tenant, each with its network's length."),
  routes: z.array(routeSchema).default([]).describe("Where the tenant's networks live on the underlay."),
  publicIps: z.array(publicIpSchema).default([]).describe("Public addresses that stand for one of the tenant's each."),
  portForwards: z
    .array(portForwardSchema)
    .default([])
    .describe("Public ports, or ranges of them, that lead to one of the tenant's hosts each."),
  snat: snatSchema
    .optional()
    .describe("A public address that the hosts without one of their own share for the connections that they begin."),
  policy: policySchema
    .prefault({})
    .describe("Which connections may begin. When missing: nothing from outside, everything to outside."),
  limits: limitsSchema.prefault({}).describe("Quotas that keep one tenant from starving the others."),
});

const underlaySchema = z.strictObject({
  device: deviceName.describe("The network device that carries the tunnels."),
  address: hostAddress.describe("The gateway's own address on it: the outer source of every tunnelled packet."),
});

const uplinkSchema = z.strictObject({
  device: deviceName.describe("The network device towards the outside; it may be the underlay device."),
  gateway: hostAddress.describe("The next hop of everything that has no other route."),
});

const nicSchema = z.strictObject({
  name: deviceName.describe("The network device."),
  xdp: z
    .enum(["native", "generic", "offload"])
    .default("native")
    .describe(
      "How XDP attaches: by the driver, by the stack, or in the NIC. There is no silent fallback from one to another.",
    ),
});

const hostSchema = z.strictObject({
  forward: z
    .boolean()
    .default(false)
    .describe(
      "Whether the machine forwards packets that are no tenant's between underlay and uplink, either way, and back by the side that they came from. Traffic of other devices is never concerned.",
    ),
});

/** A table of the largest size takes 2 GiB. */
const maxFlows = 2 ** 24;

/** All of the config but its tenants, which may lie in other files. */
const headFields = {
  apiVersion: z.literal(apiVersion).describe("The language of this file."),
  instance: instanceName
    .default("default")
    .describe("Name of this gateway: of its nftables table and its directory in bpffs. Several may share a machine."),
  underlay: underlaySchema.describe("Where the tunnels run."),
  uplink: uplinkSchema
    .optional()
    .describe(
      "Where public addresses are reached in plain IP. When missing, by the tenants' routes alone, through tunnels.",
    ),
  nics: z
    .array(nicSchema)
    .optional()
    .describe("The devices with the fast path. The underlay device with native XDP when missing."),
  host: hostSchema.prefault({}).describe("What the machine does besides serving tenants."),
  metrics: z
    .strictObject({
      listen: listenAddress.describe("Where the daemon answers `GET /metrics`: an IPv4 address and a port."),
    })
    .optional()
    .describe("Prometheus metrics of the daemon. None when missing."),
  flows: z
    .int()
    .min(1024)
    .max(maxFlows)
    .default(524_288)
    .describe(
      "How many flows XDP has room for; a connection has two. Each takes 128 bytes of memory that cannot be swapped. Live flows stay when it is changed.",
    ),
  limits: capacitiesSchema.prefault({}).describe("What there is for all tenants together, and is shared out."),
};

/** The main file before its tenants are looked at: each is parsed by itself, with its own file and place. */
export const headSchema = z.strictObject({ ...headFields, tenants: z.array(z.unknown()).default([]) });

export const configSchema = z.strictObject({
  ...headFields,
  tenants: z
    .array(tenantSchema)
    .default([])
    .describe(
      "The tenants. More may lie beside this file in tenants.d/*.yaml, each file one tenant or a list of them.",
    ),
});

export type ConfigTenant = z.output<typeof tenantSchema>;
export type ConfigNic = z.output<typeof nicSchema>;

/** A config as loaded: every default filled in, tenants of all files in one list. */
export type Config = Omit<z.output<typeof configSchema>, "nics"> & { readonly nics: readonly ConfigNic[] };

/** A config as it stands in a file. */
export type ConfigInput = z.input<typeof configSchema>;
