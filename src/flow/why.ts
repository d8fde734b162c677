/** Why a direction of a connection is not in a faster tier: only what is seen, in the order in which it matters. */

import { hasEndpoint, isPublic } from "../datapath/endpoints.js";
import { flowOffsets, flowWays } from "../datapath/flow-table.js";
import { type FlowView, keyOf, type Unfollowed } from "../datapath/flow-view.js";
import { readLimit, readLosses, readUsage } from "../datapath/usage.js";
import { type ConnectionState, statusBits } from "../kernel/connection-states.js";
import type { ConnectionTuple } from "../plan/admission.js";
import { tupleBytes } from "./line.js";
import type { Why } from "./schema.js";

/** One direction, and what is known of it. */
export interface Direction {
  readonly tenant: number;
  readonly protocol: number;
  readonly arrives: ConnectionTuple;
  /** Of the flow table; -1: none. */
  readonly line: number;
  readonly connection: ConnectionState | undefined;
}

const because = (code: string, text: string): Why => ({ code, text });

const isCarried = (protocol: number) => protocol === 6 || protocol === 17;

/** Empty: XDP carries it. */
export function whyNotXdp(view: FlowView, direction: Direction): Why[] {
  if (!isCarried(direction.protocol))
    return [because("protocol", "XDP and the flowtable carry TCP and UDP; everything else is the stack's")];
  if (direction.line >= 0) {
    const why = view.whyUnfollowed(direction.line);
    return why === undefined ? [] : [unfollowed(view, direction, why)];
  }
  const whys = [
    ...(view.isAttached ? [] : [detached]),
    ...(view.isLearning ? [] : [because("no_learner", "the program that learns flows is on no NIC")]),
    ...whyOfConnection(direction),
    ...whyOfConfig(view, direction),
    ...whyOfRoom(view, direction),
  ];
  if (whys.length > 0) return whys;
  return [
    because(
      "not_learned",
      "nothing is seen that stands in the way: it is learned with the next packet of this direction that the kernel sends, if that is an ordinary one",
    ),
  ];
}

const detached = because("detached", "XDP is attached to no NIC; `xgw apply` attaches it");

function unfollowed(view: FlowView, { tenant, line }: Direction, why: Unfollowed): Why {
  const template = view.memory.half(line, flowOffsets.encap);
  switch (why) {
    case "detached":
      return detached;
    case "generation": {
      const was = view.memory.word(line, flowOffsets.generation);
      const text = `the tenant has changed since it was learned (generation ${was}, now ${view.generationOf(tenant)}): its next packet is decided anew`;
      return because(why, text);
    }
    case "template_left":
      return because(
        why,
        `its header template ${template} was left: the kernel sends another way by now, or was not seen to send that way`,
      );
    case "template_retired":
      return because(why, `its header template ${template} is being given back: no other flow led there`);
    case "template_gone":
      return because(why, `its header template ${template} has gone`);
  }
}

/** What the kernel says of the connection, for both of the faster tiers. */
function whyOfConnection({ protocol, connection }: Direction): Why[] {
  if (!connection)
    return [because("no_connection", "conntrack has no such connection: it has ended, or none was let in")];
  const { status, tcpState, helper } = connection;
  const whys: Why[] = [];
  if (status & statusBits.dying) whys.push(because("dying", "conntrack is deleting it"));
  if (!(status & statusBits.seenReply)) whys.push(because("unreplied", "no answer has been seen yet"));
  else if (protocol === 6 && tcpState !== undefined && tcpState !== "ESTABLISHED")
    whys.push(because("tcp_state", `TCP is in state ${tcpState}: only ESTABLISHED is carried`));
  if (status & statusBits.helper || helper !== undefined)
    whys.push(because("helper", `conntrack's helper${helper ? ` ${helper}` : ""} reads its packets`));
  if (status & statusBits.sequenceAdjusted) whys.push(because("sequence", "the kernel changes its sequence numbers"));
  if (status & statusBits.natClash)
    whys.push(because("nat_clash", "conntrack has it twice, with one tuple (NAT clash)"));
  return whys;
}

function whyOfConfig(view: FlowView, { tenant, arrives }: Direction): Why[] {
  const whys: Why[] = [];
  if (view.generationOf(tenant) % 2 === 1)
    whys.push(because("changing", "a change of the tenant has not come to its end; `xgw apply` ends it"));
  if (!isPublic(view.pins, arrives.destination) && !hasEndpoint(view.pins, tenant, arrives.source))
    whys.push(because("endpoint", `no route of the tenant's says by which tunnel endpoint ${arrives.source} sends`));
  return whys;
}

function whyOfRoom(view: FlowView, { tenant, protocol, arrives }: Direction): Why[] {
  const whys: Why[] = [];
  const arrivals = view.tenants.get(tenant);
  const { flowsRefused = 0, templatesRefused = 0 } = readLosses(view.pins, [tenant]).get(tenant) ?? {};
  const share = (table: "flow" | "encap", resource: "flows" | "templates") => ({
    used: readUsage(view.pins, table, [tenant]).get(tenant) ?? 0,
    limit: readLimit(view.pins, tenant, resource),
  });
  if (arrivals) {
    const isPlain = isPublic(view.pins, arrives.destination);
    const [realm, wrap] = isPlain ? [0, 2] : [arrivals.key, arrivals.wrap];
    const used = view.memory.fill(keyOf(tupleBytes(protocol, arrives), realm, protocol, wrap));
    const { used: lines, limit } = share("flow", "flows");
    const ofShare = limit > 0 ? `; the tenant has ${lines} of its ${limit} lines` : "";
    if (used === flowWays)
      whys.push(because("bucket_full", `all ${used} places for it in the flow table are taken${ofShare}`));
    else if (limit > 0 && lines >= limit && flowsRefused > 0)
      whys.push(
        because(
          "flow_share",
          `the tenant has ${lines} of its ${limit} lines, and was refused one ${flowsRefused} times`,
        ),
      );
  }
  const { used, limit } = share("encap", "templates");
  if (limit > 0 && used >= limit && templatesRefused > 0)
    whys.push(
      because(
        "template_share",
        `the tenant has ${used} of its ${limit} header templates, and was refused one ${templatesRefused} times`,
      ),
    );
  return whys;
}

/** Empty: the flowtable carries it. Of what is in no faster tier. */
export function whyNotFlowtable(direction: Direction): Why[] {
  if (!isCarried(direction.protocol)) return [because("protocol", "the flowtable carries TCP and UDP")];
  const whys = whyOfConnection(direction);
  if (whys.length > 0) return whys;
  if ((direction.connection?.status ?? 0) & statusBits.offload) return [];
  return [
    because(
      "not_offloaded",
      "conntrack does not say OFFLOAD of it: the flowtable takes it with a packet that the stack forwards, and lets go of it after a time without one (net.netfilter.nf_flowtable_*_timeout)",
    ),
  ];
}
