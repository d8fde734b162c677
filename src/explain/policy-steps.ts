/** The rule that judges a beginning, those that came close, and the limits of the tenant. */

import { readBucket } from "../datapath/arrivals.js";
import { readSessions } from "../datapath/sessions.js";
import { readLimit } from "../datapath/usage.js";
import { ruleOf } from "../flow/line.js";
import type { ConnectionTuple } from "../plan/admission.js";
import { deniedMark, outboundMark } from "../plan/rules.js";
import { nearRules } from "./near-rules.js";
import { type Ending, type Subject, tell } from "./subject.js";
import { endWords, tupleWords } from "./words.js";

/** Whether a mark, as the policy maps give it, lets the connection begin. */
export const isDenied = (mark: number): boolean => mark >>> 0 >= deniedMark || (mark & 0xffff) === 0;

/**
 * DNAT, the rule and what came close to it.
 *
 * @param leaves after DNAT
 * @param mark as the policy maps give it
 * @param asked what has said it
 */
export function tellJudgement(subject: Subject, leaves: ConnectionTuple, mark: number, asked: string): Partial<Ending> {
  const { gateway, trial, tenant } = subject;
  const { examined } = trial;
  const { tuple, protocol } = examined;
  const direction = (mark & outboundMark) === 0 ? "inbound" : "outbound";
  if (tupleWords(leaves) !== tupleWords(tuple))
    tell(subject, "translation", `DNAT: ${endWords(tuple)} is ${endWords(leaves)}`, asked);
  const rule = ruleOf(mark);
  const described = rule && tenant ? { ...rule, ...gateway.describeRule(tenant.key, rule) } : undefined;
  const verdict = isDenied(mark) ? "denies" : "admits";
  if (!described)
    tell(subject, "policy", `no ${direction} rule admits ${tupleWords(tuple)}`, asked, { mark, direction });
  else {
    const place = described.place ? ` (${described.place.file}:${described.place.line})` : "";
    const name = described.name === undefined ? "" : `, ${described.name}`;
    const text = `${direction}:${described.rule}${name}${place} ${verdict} it`;
    tell(subject, "policy", text, asked, { mark, direction, rule: described.rule });
  }
  const far = direction === "inbound" ? tuple.source : tuple.destination;
  const rules = (tenant && gateway.rulesOf(tenant.key, direction)) ?? [];
  for (const near of nearRules(rules, { protocol, address: far, port: leaves.destinationPort }, described?.rule)) {
    const one = { direction, rule: near.rule } as const;
    const { name, place } = tenant ? gateway.describeRule(tenant.key, one) : {};
    const where = place ? ` (${place.file}:${place.line})` : "";
    const text = `not ${direction}:${near.rule}${name === undefined ? "" : `, ${name}`}${where}: ${near.why}`;
    tell(subject, "other_rule", text, "the config", { direction, rule: near.rule }, "note");
  }
  tellLimits(subject);
  return described ? { rule: described } : {};
}

/** How much of the tenant's limits on connections is left. */
function tellLimits(subject: Subject): void {
  const { gateway, tenant, trial } = subject;
  if (!tenant || trial.examined.hasQuota === "unasked") return;
  const { pins } = gateway.view;
  const [sessions, perSecond] = (["sessions", "newPerSecond"] as const).map((name) => readLimit(pins, tenant.id, name));
  const live = readSessions(pins)?.[tenant.id];
  const words = [
    ...(live === undefined ? [] : [`${live} live connections of ${sessions || "any number"}`]),
    perSecond
      ? `${readBucket(pins, tenant.id, perSecond)} of ${perSecond} new ones a second left`
      : "any number of new ones a second",
  ];
  const hasRoom = trial.examined.hasQuota === "yes";
  tell(subject, "limits", `${words.join(", ")}: ${hasRoom ? "there is room" : "no room"}`, "maps buckets, limits", {
    hasRoom,
    ...(live === undefined ? {} : { sessions: live }),
    ...(sessions ? { sessionsLimit: sessions } : {}),
    ...(perSecond ? { newPerSecond: perSecond } : {}),
  });
}
