/** What an operator sees of live connections, and what deciding them anew costs. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Listed, Shown, Top } from "../../../src/flow/schema.js";
import type { Check } from "../check.js";

const linesOf = <T>(stdout: string): T[] =>
  stdout.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as T]));

export const flowsSeen: Check = {
  id: "flow",
  title: "`xgw flow list`, `show`, `top` and `delete` during a UDP stream",
  wanted:
    "the connection is XDP's, found by its packet on either side of NAT, with its rule's line of the config; deleted it is learned again, and no packet is lost",
  async run({ client, user1, xgw }) {
    const [port, localPort] = [5000, 40_011];
    await user1.serveUdp(port);
    const stream = client.streamUdp({ host: "2.2.2.11", port, localPort, bytes: 200, count: 100_000, intervalMs: 20 });
    await sleep(3000);
    const list = async () =>
      linesOf<Listed>((await xgw.run("flow", "list", "-j", "--port", String(localPort))).stdout).map(
        ({ tenant, tier, nat }) => `${tenant} ${tier} ${nat}`,
      );
    const show = async (from: string, to: string) =>
      linesOf<Shown>((await xgw.run("flow", "show", "-j", "user1", from, to, "udp")).stdout);
    const before = await list();
    const [shown] = await show(`1.1.1.7:${localPort}`, `2.2.2.11:${port}`);
    const [inside] = await show(`10.0.0.7:${port}`, `1.1.1.7:${localPort}`);
    const [top] = linesOf<Top>((await xgw.run("flow", "top", "-j", "--interval", "1")).stdout);
    const deleted = (await xgw.run("flow", "delete", "-j", "--port", String(localPort))).stdout;
    await sleep(3000);
    const after = await list();
    client.stopStream();
    const { sent, received } = await stream;
    await user1.close(port);
    const { direction, rule, place } = shown?.rule ?? {};
    const sides = [shown, inside].map((one) => one?.original.xdp?.template.endpoint).join(" ");
    const topPort = top?.flows.some(({ arrives }) => arrives.sourcePort === localPort) ?? false;
    const { matched } = JSON.parse(deleted) as { matched?: number };
    const seen = [
      `${before} then ${after}`,
      `rule ${direction}:${rule} at line ${place?.line}`,
      `to ${sides}`,
      `${topPort ? "" : "not "}in top`,
      `${matched} lines deleted`,
      `${received} of ${sent} echoed`,
    ].join("; ");
    const ok =
      `${before} ${after}` === "user1 xdp dnat user1 xdp dnat" &&
      `${direction}:${rule}` === "inbound:1" &&
      (place?.line ?? 0) > 0 &&
      sides === "172.168.0.11 172.168.0.11" &&
      topPort &&
      matched === 2 &&
      received === sent;
    return { ok, seen };
  },
};
