/** What is said of a packet in its comment in a capture file: `drop policy tenant=user1 key=1000 rule=inbound:0 xgw.yaml:17`. */

import type { Drop } from "./schema.js";

export function packetComment({ by, reason, verdict, tenant, key, rule, device }: Drop): string {
  const words = [
    `drop ${reason}`,
    ...(by === "kernel" ? ["by=kernel"] : []),
    ...(verdict ? [`verdict=${verdict}`] : []),
    ...(tenant === undefined ? [] : [`tenant=${tenant}`]),
    ...(key === undefined ? [] : [`key=${key}`]),
    ...(rule ? [`rule=${rule.direction}:${rule.rule}`] : []),
    ...(rule?.place ? [`${rule.place.file}:${rule.place.line}`] : []),
    ...(device === undefined ? [] : [`device=${device}`]),
  ];
  return words.join(" ");
}
