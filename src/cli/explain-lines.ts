/** What `xgw explain` shows people, at most 80 columns wide as long as no word is longer. */

import type { Explanation } from "../explain/schema.js";
import { tupleWords, wrapped } from "./flow-lines.js";

const verdicts: Readonly<Record<Explanation["verdict"], string>> = {
  sent: "is sent",
  dropped: "is dropped",
  delivered: "is for the machine itself",
  unknown: "goes to the kernel",
};

/** The width of the longest name of a step, and two spaces. */
const column = 15;

/** The verdict first, then the way from top to bottom; what does not decide is set off by a dash. */
export function explainLines({ tenant, protocol, arrives, leaves, verdict, by, reason, steps }: Explanation): string[] {
  const who = arrives && protocol ? `${protocol} ${tupleWords(arrives)}` : "the packet";
  const whose = tenant === undefined ? "" : ` of ${tenant}`;
  const as = leaves && arrives && verdict === "sent" && tupleWords(leaves) !== tupleWords(arrives);
  const head = `${who}${whose} ${verdicts[verdict]}, by ${by === "xdp" ? "XDP" : "the kernel"} (${reason})`;
  return [
    ...wrapped(head, 2),
    ...(as ? wrapped(`  as ${tupleWords(leaves)}`, 4) : []),
    ...steps.flatMap(({ step, outcome, text }) => {
      const name = outcome === "note" ? `- ${step.replace("_", " ")}` : step.replace("_", " ");
      return wrapped(`  ${name.padEnd(column)}${text}`, column + 2);
    }),
  ];
}
