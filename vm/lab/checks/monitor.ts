/** What `xgw monitor` shows on real traffic: why packets are dropped, by XDP and by the kernel. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Drop, MonitorEvent } from "../../../src/monitor/schema.js";
import type { Check } from "../check.js";

const isDrop = (event: MonitorEvent): event is Drop => event.kind === "drop";

/** Somebody else's table, such as Docker's. */
const foreignTable = "lab_foreign";

export const monitored: Check = {
  id: "monitor",
  title: "`xgw monitor` while XDP denies a connection, and somebody's nft table drops a ping",
  wanted:
    "both are told once they happen: the first with the rule's file and line, the second as the kernel's with the tenant; a flow is told as born",
  async run({ topology, client, user1, xgw }) {
    const { gateway } = topology.hosts;
    const listening = xgw.run("monitor", "-j", "--seconds", "25");
    await sleep(5000); // the command takes seconds to begin where the CPU is emulated
    const refused = await user1.connectTcp({ host: "1.1.1.7", port: 22, seed: 9, bytes: 8, timeoutMs: 1500 }).then(
      () => false,
      () => true,
    );
    await client.serveTcp({ port: 8022, seed: 9, bytes: 4096 });
    await user1.connectTcp({ host: "1.1.1.7", port: 8022, seed: 9, bytes: 4096 });
    await client.close(8022);
    const rules = `add table ip ${foreignTable} { chain forward { type filter hook forward priority -10; ip protocol icmp drop; }; }`;
    await gateway.run("nft", rules);
    await user1.namespace.tryRun("ping", "-n", "-c", "2", "-i", "0.3", "-W", "1", "1.1.1.7");
    await gateway.run("nft", "delete", "table", "ip", foreignTable);
    const { stdout } = await listening;
    const events = stdout.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as MonitorEvent]));
    const drops = events.filter(isDrop).filter(({ tenant }) => tenant === "user1");
    const denied = drops.find(({ packet }) => packet?.protocol === "tcp" && packet.destinationPort === 22);
    const pinged = drops.find(({ by, packet }) => by === "kernel" && packet?.protocol === "icmp");
    const born = events.some((event) => event.kind === "flow_born" && event.packet.destinationPort === 8022);
    const { direction, rule, place } = denied?.rule ?? {};
    const seen = [
      `${denied?.by} ${denied?.reason} by ${direction}:${rule} at line ${place?.line}`,
      `ping: ${pinged?.by} ${pinged?.reason}`,
      born ? "flow born" : "no flow born",
    ].join("; ");
    const ok =
      refused &&
      `${denied?.reason} ${direction}:${rule}` === "policy outbound:0" &&
      (place?.line ?? 0) > 0 &&
      pinged?.reason === "netfilter_drop" &&
      born;
    return { ok, seen };
  },
};
