/** The steps of a packet that XDP sends, or refuses. */

import { kernelNames } from "../datapath/entries.js";
import { flowOffsets } from "../datapath/flow-table.js";
import { readU16, readU32 } from "../datapath/layout.js";
import { leavesAs, natOf, ruleOf, tupleBytes, turnedRound } from "../flow/line.js";
import { secondsSince, ticksNow } from "../kernel/clock.js";
import { tellAnswer } from "./answer.js";
import { tellJudgement } from "./policy-steps.js";
import { translated } from "./rules.js";
import { type Ending, type Subject, tell } from "./subject.js";
import { duration, tupleWords } from "./words.js";

/** A flow does it all. */
export function tellForwarded(subject: Subject): Ending {
  const { gateway, trial, tenant } = subject;
  const { examined, flow } = trial;
  if (!flow || !tenant) return { verdict: "sent", by: "xdp" };
  const leaves = leavesAs(flow.copy);
  tellFlow(subject);
  const isReply = gateway.view.isReply(flow.line);
  const [original, reply] = isReply ? [turnedRound(leaves), examined.tuple] : [examined.tuple, turnedRound(leaves)];
  const nat = natOf(original, reply);
  const text = nat === "none" ? "nothing is translated" : `${tupleWords(examined.tuple)} becomes ${tupleWords(leaves)}`;
  tell(subject, "translation", text, "the flow", { nat });
  const mark = gateway.view.markNow(flow.copy);
  const rule = ruleOf(mark);
  const described = rule ? { ...rule, ...gateway.describeRule(tenant.key, rule) } : undefined;
  if (rule && described) {
    const place = described.place ? ` (${described.place.file}:${described.place.line})` : "";
    const words = `${rule.direction}:${rule.rule}${described.name === undefined ? "" : `, ${described.name}`}${place}`;
    tell(subject, "policy", `the connection was admitted by ${words}`, "the flow's rule", { mark });
  } else tell(subject, "policy", "no rule had to admit the connection", "the flow's rule");
  tellTemplate(subject);
  tellAnswer(subject, leaves);
  return { verdict: "sent", by: "xdp", leaves, ...(described ? { rule: described } : {}) };
}

/** The flow, its age, and what it has carried. */
export function tellFlow(subject: Subject): void {
  const { gateway, trial } = subject;
  const { flow, examined } = trial;
  if (!flow) return;
  const { view } = gateway;
  const { copy, line } = flow;
  const other = turnedRound(leavesAs(copy));
  const original = view.isReply(line) ? other : examined.tuple;
  const born = view.bornOf(tupleBytes(examined.protocol, original), examined.zone);
  const age = born === undefined ? undefined : (Number(process.hrtime.bigint()) - born) / 1e9;
  const packets = readU32(copy, flowOffsets.packets / 4);
  const idle = secondsSince(readU32(copy, flowOffsets.checked / 4), ticksNow());
  const words = [
    `XDP has a flow of it`,
    ...(age === undefined ? [] : [`learned ${duration(age)} ago`]),
    `${packets} packets so far`,
  ];
  tell(subject, "flow", words.join(", "), "map flows", {
    line,
    packets,
    idleSeconds: Math.round(idle),
    template: readU16(copy, flowOffsets.encap),
    ...(age === undefined ? {} : { ageSeconds: Math.round(age) }),
  });
}

/** Where a flow's packets go, and in which headers. */
function tellTemplate(subject: Subject): void {
  const { flow, frame, action } = subject.trial;
  if (!flow) return;
  const template = subject.gateway.view.template(readU16(flow.copy, flowOffsets.encap));
  const device = kernelNames.nameOf(template.ifindex);
  const mac = frame.toString("hex", 0, 6).replaceAll(/..(?!$)/g, "$&:");
  const fits = `template ${template.id}: ${template.header.length} bytes of headers, up to ${template.mtu} bytes of IP`;
  tell(subject, "encapsulation", fits, "map encaps", { template: template.id, mtu: template.mtu });
  tell(subject, "neighbour", `next hop ${mac}`, "map encaps", { mac });
  const how = action === "tx" ? "back by the device that it came in by" : "redirected";
  const data = { device, bytes: frame.length };
  tell(subject, "device", `leaves by ${device}, ${how}, as ${frame.length} bytes`, "xgw_xdp", data, "ends");
}

/** A beginning that is refused for the policy or for a limit. */
export function tellDenial(subject: Subject): Partial<Ending> {
  const { trial } = subject;
  tell(subject, "flow", "there is no flow of it: it may begin a connection", "map flows");
  tell(subject, "conntrack", "does not know it", "bpf_xdp_ct_lookup");
  return tellJudgement(subject, translated(subject), trial.examined.mark, "xgw_xdp (maps destinations, policy_*)");
}
