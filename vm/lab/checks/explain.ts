/** What becomes of packets that nobody sends, and that to ask counts nothing. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Explanation } from "../../../src/explain/schema.js";
import type { Check } from "../check.js";

export const explained: Check = {
  id: "explain",
  title: "`xgw explain` of a UDP stream's packet, of its answer, of a new connection and of one that is denied",
  wanted:
    "XDP sends the stream's both ways; the kernel begins the new one by rule and tunnel; the denied one has no rule; nothing is counted",
  async run({ client, user1, xgw }) {
    const [port, localPort] = [5000, 40_012];
    await user1.serveUdp(port);
    const stream = client.streamUdp({ host: "2.2.2.11", port, localPort, bytes: 200, count: 100_000, intervalMs: 20 });
    await sleep(3000);
    const explain = async (...words: string[]) =>
      JSON.parse((await xgw.run("explain", "-j", "--tenant", "user1", ...words)).stdout) as Explanation;
    const carried = await explain("--in", `1.1.1.7:${localPort}`, `2.2.2.11:${port}`, "udp");
    const answer = await explain("--out", `10.0.0.7:${port}`, `1.1.1.7:${localPort}`, "udp");
    client.stopStream();
    await stream;
    const counted = async () => JSON.stringify((await xgw.tenant("user1")).xdp);
    let before = await counted();
    // The last answers are under way, and where nobody listens any more an error comes back.
    for (let earlier = ""; earlier !== before; before = await counted()) {
      earlier = before;
      await sleep(1000);
    }
    const begun = await explain("--in", "1.1.1.7:4444", "2.2.2.11:22", "tcp");
    const denied = await explain("--in", "1.1.1.7:4444", "2.2.2.11:2323", "tcp");
    const after = await counted();
    await user1.close(port);
    const words = ({ by, verdict, reason, leaves }: Explanation) =>
      `${by} ${verdict} ${reason}${leaves ? ` to ${leaves.destination}` : ""}`;
    const hasTunnel = begun.steps.some(({ step, text }) => step === "encapsulation" && text.includes("172.168.0.11"));
    const seen = [
      ...[carried, answer, begun, denied].map(words),
      `${hasTunnel ? "" : "not "}into the tunnel`,
      before === after ? "nothing is counted" : `counted: ${before} became ${after}`,
    ].join("; ");
    const ok =
      seen ===
      "xdp sent forwarded to 10.0.0.7; xdp sent forwarded to 1.1.1.7; kernel sent no_flow to 10.0.0.7; " +
        "xdp dropped policy; into the tunnel; nothing is counted";
    return { ok, seen };
  },
};
