// What was told of a packet and what came of it: when the two are no contradiction.
import { expect, it } from "vitest";
import type { Explanation } from "../../../src/explain/schema.js";
import { contradiction } from "../../../vm/differential/explained.js";
import { draftOf, frameOf, type Way } from "../../../vm/frames/draft.js";

const way: Way = { wire: 0, wrap: "plain", sourceMac: "02:00:00:00:00:07", gatewayMac: "02:00:00:00:00:01", vlans: [] };
const frameTo = (dst: string) =>
  frameOf(draftOf(way, { protocol: "udp", src: "1.1.1.7", sport: 4000, dst, dport: 53 }, Buffer.from("odd")));
const frame = frameTo("10.0.0.7");
const left = (...frames: Buffer[]) => frames.map((one) => ({ wire: 0, frame: one }));
const leaves = { source: "1.1.1.7", sourcePort: 4000, destination: "10.0.0.7", destinationPort: 53 };
const told = (explanation: Partial<Explanation>) => ({ explanation: { leaves, ...explanation } as Explanation, frame });
const byXdp = told({ by: "xdp", verdict: "sent", reason: "forwarded" });
const byKernel = told({ by: "kernel", verdict: "sent", reason: "no_flow" });
const refused = told({ by: "kernel", verdict: "dropped", reason: "no_flow" });

it.each([
  ["XDP sends the very frame", byXdp, { counted: [], left: left(frame) }],
  ["the kernel sends the packet in other headers", byKernel, { counted: ["no_flow"], left: left(frameTo("10.0.0.7")) }],
  ["it is refused, and somebody is told so", refused, { counted: ["no_flow"], left: left(frameTo("8.8.8.8")) }],
  ["it is a sample by then", byXdp, { counted: ["sample"], left: left(frame) }],
])("comes as it was told: %s", (_, one, seen) => {
  expect(contradiction(one, seen)).toBeUndefined();
});

it.each([
  ["XDP sends another frame", byXdp, { counted: [], left: left(frameTo("10.0.0.8")) }, "did not leave"],
  ["XDP leaves it to the kernel", byXdp, { counted: ["mtu"], left: left(frame) }, "reason forwarded was told, mtu"],
  [
    "the kernel sends it elsewhere",
    byKernel,
    { counted: ["no_flow"], left: left(frameTo("8.8.8.8")) },
    "sent was told",
  ],
  ["it is sent all the same", refused, { counted: ["no_flow"], left: left(frame) }, "dropped was told"],
])("contradicts what was told: %s", (_, one, seen, said) => {
  expect(contradiction(one, seen)).toContain(said);
});
