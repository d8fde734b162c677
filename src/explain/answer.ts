/** What the answer to a packet will meet on its way back. */

import { endpointOf } from "../datapath/arrivals.js";
import { isPublic } from "../datapath/endpoints.js";
import { findLine } from "../datapath/flow-view.js";
import { tupleBytes, turnedRound } from "../flow/line.js";
import type { ConnectionTuple } from "../plan/admission.js";
import { type Subject, tell } from "./subject.js";
import { tupleWords } from "./words.js";

/** @param leaves the packet as it leaves */
export function tellAnswer(subject: Subject, leaves: ConnectionTuple): void {
  const { gateway, trial, tenant } = subject;
  if (!tenant) return;
  const { pins } = gateway.view;
  const { protocol, tuple } = trial.examined;
  const answer = turnedRound(leaves);
  const endpoint = endpointOf(pins, tenant.id, answer.source);
  const by =
    endpoint !== undefined ? `the tunnel from ${endpoint}` : isPublic(pins, answer.destination) ? "the uplink" : "";
  const line = findLine(gateway.view, tenant.id, protocol, tupleBytes(protocol, answer));
  const follows = line >= 0 && gateway.view.whyUnfollowed(line) === undefined;
  const words = [
    `the answer, ${tupleWords(answer)}, comes by ${by === "" ? "a side that no route of the tenant's names" : by}`,
    "needs no rule, for conntrack knows its connection",
    `leaves as ${tupleWords(turnedRound(tuple))}`,
    follows ? "and XDP has a flow of it" : "and the kernel carries it until XDP learns it",
  ];
  tell(subject, "answer", words.join(", "), "maps endpoints, public_ips, flows", { flow: follows }, "note");
}
