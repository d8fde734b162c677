/** The steps of a packet that XDP leaves to the kernel, which is asked for each. */

import { reasons } from "../datapath/reasons.js";
import { ruleOf, turnedRound } from "../flow/line.js";
import { whyNotXdp } from "../flow/why.js";
import { askNeighbour, askRoute, type RouteAnswer } from "../kernel/ask.js";
import { type ConnectionState, findConnectionState, statusBits } from "../kernel/connection-states.js";
import { readElementsOf } from "../kernel/nftables.js";
import { readLinks } from "../kernel/rtnetlink.js";
import { formatAddress } from "../model/ipv4.js";
import type { ConnectionTuple } from "../plan/admission.js";
import { outboundMark, tableName, typesOfSet } from "../plan/rules.js";
import { tellAnswer } from "./answer.js";
import { tellFlow } from "./by-xdp.js";
import { isDenied, tellJudgement } from "./policy-steps.js";
import { askRules, translated } from "./rules.js";
import { type Ending, type Subject, tell } from "./subject.js";
import { tupleWords } from "./words.js";

export async function tellKernel(subject: Subject): Promise<Ending> {
  const { trial } = subject;
  const { examined, reason } = trial;
  const isParsed = examined.parsed === "forwarded";
  if (trial.flow) tellFlow(subject);
  else if (isParsed) tell(subject, "flow", "XDP has no flow of it", "map flows");
  const meaning = reasons.find(({ name }) => name === reason)?.meaning ?? "";
  tell(subject, "xdp", `leaves it to the kernel as ${reason}: ${meaning}`, "xgw_xdp", { reason });
  if (!subject.tenant) return unfollowed(subject);
  if (!isParsed) return tellIcmp(subject);
  const connection = findConnectionState(examined.zone, examined.protocol, examined.tuple);
  const next = connection ? known(subject, connection) : beginning(subject);
  return tellRest(subject, next);
}

/** An echo request, as the rules would judge it if it began something; of other packets nothing is asked. */
async function tellIcmp(subject: Subject): Promise<Ending> {
  const { frame, examined } = subject.trial;
  const { offset, parsed } = examined;
  const isEcho = parsed === "not_tcp_udp" && offset > 0 && frame[offset + 9] === icmp && frame[offset + 20] === echo;
  if (!isEcho) return unfollowed(subject);
  const address = (at: number) => formatAddress(frame.readUInt32BE(offset + at));
  const tuple = { source: address(12), destination: address(16), sourcePort: 0, destinationPort: 0 };
  const length = frame.readUInt16BE(offset + 2);
  const trial = { ...subject.trial, examined: { ...examined, tuple, length, protocol: icmp } };
  const asked = { ...subject, trial };
  const { leaves, ...ending } = await tellRest(asked, beginning(asked));
  return ending;
}

const [icmp, echo] = [1, 8];

function unfollowed(subject: Subject): Ending {
  const text =
    "what the kernel does with it is not asked: TCP, UDP and echo requests with all their headers are followed";
  tell(subject, "rules", text, "xgw_examine", {}, "ends");
  return { verdict: "unknown", by: "kernel" };
}

async function tellRest(subject: Subject, next: Next): Promise<Ending> {
  if (next.isDenied) return { verdict: "dropped", by: "kernel", ...next.ending };
  const sent = await tellOut(subject, next.leaves);
  if (sent === "sent") tellAnswer(subject, next.source);
  return { verdict: sent, by: "kernel", leaves: next.source, ...next.ending };
}

interface Next {
  readonly isDenied: boolean;
  /** As it is routed: after DNAT, before SNAT. */
  readonly leaves: ConnectionTuple;
  /** After SNAT as well. */
  readonly source: ConnectionTuple;
  readonly ending: Partial<Ending>;
}

/** A connection that conntrack has: its rule has admitted it, and its NAT is decided. */
function known(subject: Subject, connection: ConnectionState): Next {
  const { gateway, tenant, trial } = subject;
  const { examined, flow } = trial;
  const isOriginal = sameAs(connection.original, examined.tuple);
  const source = turnedRound(isOriginal ? connection.reply : connection.original);
  const state = connection.tcpState ?? (connection.status & statusBits.seenReply ? "answered" : "unanswered");
  const direction = isOriginal ? "original" : "reply";
  tell(subject, "conntrack", `knows it (${state}): this is its ${direction} direction`, "ctnetlink", {
    state,
    mark: connection.mark,
    ...(connection.timeout === undefined ? {} : { timeoutSeconds: connection.timeout }),
  });
  const direct = { tenant: examined.tenant, protocol: examined.protocol, arrives: examined.tuple, connection };
  for (const { text, code } of whyNotXdp(gateway.view, { ...direct, line: flow?.line ?? -1 }))
    tell(subject, "flow", `no faster way: ${text}`, "xgw flow show", { code }, "note");
  if (!sameAs(source, examined.tuple))
    tell(subject, "translation", `${tupleWords(examined.tuple)} becomes ${tupleWords(source)}`, "ctnetlink");
  const rule = ruleOf(connection.mark);
  const described = rule && tenant ? { ...rule, ...gateway.describeRule(tenant.key, rule) } : undefined;
  const place = described?.place ? ` (${described.place.file}:${described.place.line})` : "";
  const name = described?.name === undefined ? "" : `, ${described.name}`;
  const text = described
    ? `${described.direction}:${described.rule}${name}${place} admitted its connection`
    : "no rule had to admit its connection";
  tell(subject, "policy", text, "conntrack's mark", { mark: connection.mark });
  const routed = { ...examined.tuple, destination: source.destination, destinationPort: source.destinationPort };
  return { isDenied: false, leaves: routed, source, ending: described ? { rule: described } : {} };
}

/** One that the rules have to judge: their own maps are asked. */
function beginning(subject: Subject): Next {
  const { gateway, trial } = subject;
  const { examined } = trial;
  const { tuple, protocol, zone } = examined;
  if (protocol !== icmp) tell(subject, "conntrack", "does not know it: it would begin a connection", "ctnetlink");
  const table = tableName(gateway.instance);
  const ask = (set: string, key: string) => askRules(subject, set, key);
  const leaves = translated(subject);
  const isInbound = !sameAs(leaves, tuple);
  const [set, far] = isInbound ? ["inbound", tuple.source] : ["outbound", tuple.destination];
  const said = ask(set as string, `${zone} . ${protocol} . ${far} . ${leaves.destinationPort}`);
  const hasTable = readElementsOf(table, "dnat_to", typesOfSet("dnat_to") as never, []) !== undefined;
  const judged = { leaves, source: leaves, ending: {}, isDenied: false };
  if (!hasTable && examined.hasPolicy !== "yes") {
    tell(subject, "policy", `there is no table ${table}: nobody judges it`, `nft list table ip ${table}`, {}, "note");
    return judged;
  }
  // No element: no rule fits. Where there is no table of rules, XDP's maps are all that there is.
  const mark = said !== undefined ? Number(said) : hasTable ? (isInbound ? 0 : outboundMark) : examined.mark;
  const ending = tellJudgement(subject, leaves, mark, hasTable ? `nft table ${table}` : "xgw_examine");
  const isRefused = isDenied(mark) || examined.hasQuota === "no";
  if (isRefused) {
    const why = isDenied(mark) ? "denies it" : "refuses it, for the tenant's limits have no room";
    tell(subject, "rules", `the kernel's path ${why}`, `nft table ${table}`, {}, "ends");
    return { ...judged, isDenied: true, ending };
  }
  const snat = isInbound
    ? undefined
    : (ask("snat_to", `${zone} . ${tuple.source}`) ?? ask("shared_to", `${zone} . ${tuple.source}`));
  const source = snat === undefined ? leaves : { ...leaves, source: snat };
  if (snat !== undefined) tell(subject, "translation", `SNAT: ${tuple.source} leaves as ${snat}`, `nft table ${table}`);
  return { isDenied: false, leaves, source, ending };
}

/** By the kernel's route: tunnel or uplink, neighbour and device. */
async function tellOut(
  subject: Subject,
  { source, destination }: ConnectionTuple,
): Promise<"sent" | "dropped" | "delivered"> {
  const { trial, gateway } = subject;
  const tunnel = tunnelOf(subject);
  const route = await askRoute({ destination, source, cameInBy: tunnel });
  if (route.refusal !== undefined || isRefusing(route.type)) {
    const why = route.refusal ?? route.type ?? "";
    tell(subject, "route", `none to ${destination}: ${why}`, route.command, {}, "ends");
    return "dropped";
  }
  if (route.type === "local") {
    tell(subject, "route", `${destination} is the gateway's own address`, route.command, {}, "ends");
    return "delivered";
  }
  if (!tellRoute(subject, route, destination)) return "dropped";
  const device = route.device ?? "";
  if (route.encap === undefined) {
    await tellNeighbour(subject, device, route.gateway ?? destination);
    tell(subject, "device", `leaves by ${device}`, route.command, { device }, "ends");
    return "sent";
  }
  if (trial.examined.wrap === "gretap" || gateway.view.tenants.get(trial.examined.tenant)?.wrap === 0)
    await tellNeighbour(subject, device, route.gateway ?? destination);
  const { id, destination: endpoint } = route.encap;
  const outer = await askRoute({ destination: endpoint, source: route.encap.source });
  const text = `into ${device}: GRE with key ${id} to ${endpoint}`;
  tell(subject, "encapsulation", text, route.command, { key: id, endpoint });
  if (outer.refusal !== undefined) {
    tell(subject, "route", `none to the endpoint ${endpoint}: ${outer.refusal}`, outer.command, {}, "ends");
    return "dropped";
  }
  await tellNeighbour(subject, outer.device ?? "", outer.gateway ?? endpoint);
  tell(subject, "device", `leaves by ${outer.device}`, outer.command, { device: outer.device ?? "" }, "ends");
  return "sent";
}

/** In the upper byte of flags and offset. */
const dontFragment = 0x40;

const isRefusing = (type: string | undefined) => ["unreachable", "blackhole", "prohibit", "throw"].includes(type ?? "");

/** The name of the tenant's tunnel, by which its packets come to the stack. */
function tunnelOf({ gateway, tenant }: Subject): string | undefined {
  const tunnel = gateway.view.tenants.get(tenant?.id ?? 0)?.tunnel;
  return readLinks().find(({ ifindex }) => ifindex === tunnel)?.name;
}

/** False: it is too large, or expires, and its sender is told so. */
function tellRoute(subject: Subject, route: RouteAnswer, destination: string): boolean {
  const { frame, examined } = subject.trial;
  const { length, offset } = examined;
  const [ttl = 0, flags = 0] = [frame[offset + 8], frame[offset + 6]];
  const device = route.device ?? "";
  const mtu = route.mtu ?? readLinks().find(({ name }) => name === device)?.mtu ?? 0;
  const isLarge = mtu > 0 && length > mtu;
  const by = route.gateway === undefined ? "" : ` by ${route.gateway}`;
  const fits = isLarge ? `${length} bytes do not fit ${mtu}` : `${length} of ${mtu} bytes`;
  const data = { device, mtu, length, ttl };
  tell(subject, "route", `${destination}${by} through ${device}: ${fits}`, route.command, data);
  const isKept = (flags & dontFragment) !== 0;
  if (ttl <= 1)
    tell(subject, "answer", "its TTL ends here: the sender is told (time exceeded)", "the frame", {}, "ends");
  else if (isLarge && isKept)
    tell(subject, "answer", "it must not be cut: the sender is told (fragmentation needed)", "the frame", {}, "ends");
  return ttl > 1 && !(isLarge && isKept);
}

async function tellNeighbour(subject: Subject, device: string, address: string): Promise<void> {
  const { linkAddress, states, command } = await askNeighbour(device, address);
  const text =
    linkAddress === undefined
      ? `${address} is not known on ${device}${states.includes("NOARP") ? "" : ": the kernel asks for it first"}`
      : `${address} is ${linkAddress} on ${device} (${states.join(", ")})`;
  tell(subject, "neighbour", text, command, { address, ...(linkAddress === undefined ? {} : { mac: linkAddress }) });
}

const sameAs = (a: ConnectionTuple, b: ConnectionTuple): boolean => tupleWords(a) === tupleWords(b);
