/** Look-ups in the maps of the nft rules, as the kernel makes them for a packet. */

import { readElementsOf } from "../kernel/nftables.js";
import type { ConnectionTuple } from "../plan/admission.js";
import { tableName, typesOfSet } from "../plan/rules.js";
import { mapOf } from "../plan/shares.js";
import { type Subject, tell } from "./subject.js";

/** An element of the rules' maps, looked up by the kernel; undefined: there is none. */
export function askRules(subject: Subject, set: string, key: string): string | undefined {
  const table = tableName(subject.gateway.instance);
  const types = typesOfSet(set);
  const map = mapOf(set, key);
  const found = types && readElementsOf(table, map, types, [key])?.[0];
  if (found) tell(subject, "rules", `${map}: ${found.key} : ${found.value}`, `nft list map ip ${table} ${map}`);
  return found?.value;
}

/** Where DNAT sends what would begin a connection. */
export function translated(subject: Subject): ConnectionTuple {
  const { tuple, protocol, zone } = subject.trial.examined;
  const service = `${zone} . ${tuple.destination} . ${protocol} . ${tuple.destinationPort}`;
  const [address = "", port = `${tuple.destinationPort}`] = (
    askRules(subject, "forward_to", service) ??
    askRules(subject, "forward_range", service) ??
    askRules(subject, "dnat_to", `${zone} . ${tuple.destination}`) ??
    tuple.destination
  ).split(" . ");
  return { ...tuple, destination: address, destinationPort: Number(port) };
}
