/** That what xgw counts is what the tenants' hosts have received, to the packet and the byte. */

import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { tunnelOverhead } from "../../../src/plan/render.js";
import type { RuleStatus, TenantStatus } from "../../../src/status.js";
import type { Check, Lab } from "../check.js";
import type { Namespace } from "../netns.js";

const protocols = { icmp: 1, tcp: 6, udp: 17 } as const;
type Protocol = keyof typeof protocols;
type Counts = Record<Protocol, { packets: number; bytes: number }>;

const table = "netdev xgw_lab_counts";
/** What lies before the inner packet's IP header, from the outer one on: bytes. */
const overheadOf = async (lab: Lab) =>
  tunnelOverhead[/^ +tunnel: gre$/m.test(await readFile(lab.xgw.configFile, "utf8")) ? "gre" : "gretap"];

/** Counts the packets of user1's tunnel that arrive at a host, by their inner protocol. Nothing is merged before it. */
async function countArrivals(host: Namespace, overhead: number): Promise<void> {
  const outerIsGre = "@nh,72,8 47 @nh,192,32 1000";
  const innerProtocol = `@nh,${(overhead + 9) * 8},8`;
  const rules = Object.values(protocols).map((number) => `${outerIsGre} ${innerProtocol} ${number} counter;`);
  const hook = `type filter hook ingress device "eth0" priority 0; policy accept;`;
  await host.run("nft", `table ${table} {\nchain arrivals {\n${[hook, ...rules].join("\n")}\n}\n}\n`);
}

/** Packets, and the bytes of their inner IP packets. */
async function arrivals(host: Namespace, overhead: number): Promise<Counts> {
  const text = await host.run("nft", "list", "table", ...table.split(" "));
  const counters = [...text.matchAll(/counter packets (\d+) bytes (\d+)/g)];
  const count = (protocol: Protocol) => {
    const [, packets = "0", bytes = "0"] = counters[Object.keys(protocols).indexOf(protocol)] ?? [];
    return { packets: Number(packets), bytes: Number(bytes) - Number(packets) * overhead };
  };
  return { icmp: count("icmp"), tcp: count("tcp"), udp: count("udp") };
}

const protocolOf: Readonly<Record<string, Protocol>> = {
  "allow tcp 22": "tcp",
  "allow udp 5000": "udp",
  "allow icmp": "icmp",
};

const tiers = ["xdp", "flowtable", "stack"] as const;
const sumOf = (rule: RuleStatus) => ({
  packets: tiers.reduce((sum, tier) => sum + rule[tier].packets, 0),
  bytes: tiers.reduce((sum, tier) => sum + rule[tier].bytes, 0),
});

/** What each rule has let through between two readings. */
function growth(before: TenantStatus, after: TenantStatus): Map<string, { packets: number; bytes: number }> {
  const was = new Map(before.rules.map((rule) => [rule.name, sumOf(rule)]));
  return new Map(
    after.rules.flatMap((rule) => {
      const now = sumOf(rule);
      const { packets, bytes } = was.get(rule.name) ?? { packets: 0, bytes: 0 };
      return now.packets === packets ? [] : [[rule.name, { packets: now.packets - packets, bytes: now.bytes - bytes }]];
    }),
  );
}

export const accounting: Check = {
  id: "accounting",
  title: "pings, 200 datagrams echoed, and a TCP connection by XDP, by the flowtable and by XDP again, to its end",
  wanted: "`xgw status` has under each rule what the hosts have received, to the packet and the byte",
  async run(lab) {
    const { client, user1, xgw, topology } = lab;
    const { gateway } = topology.hosts;
    const overhead = await overheadOf(lab);
    const ends = [client.namespace, user1.namespace];
    for (const end of ends) await countArrivals(end, overhead);
    const before = await xgw.tenant("user1");

    await user1.serveFlow(22);
    await client.startFlow({ host: "2.2.2.11", port: 22, localPort: 40022 });
    await client.ping("2.2.2.11");
    await user1.serveUdp(5000);
    const echo = await client.streamUdp({ host: "2.2.2.11", port: 5000, count: 200, intervalMs: 5, bytes: 400 });
    await user1.close(5000);
    const repairs = xgw.timesLogged("drift repaired");
    await gateway.run("bpftool", "link", "detach", "pinned", "/sys/fs/bpf/xgw/gw1/links/xdp_eth0");
    await xgw.logged("drift repaired", repairs);
    await sleep(500);
    await client.endFlow(40022);
    await user1.close(22);
    await sleep(500);

    const after = await xgw.tenant("user1");
    const received = await Promise.all(ends.map((end) => arrivals(end, overhead)));
    for (const end of ends) await end.run("nft", "delete", "table", ...table.split(" "));
    const counted = growth(before, after);
    const faults = [...counted.keys()].filter((name) => protocolOf[name] === undefined);
    for (const [name, protocol] of Object.entries(protocolOf)) {
      const { packets, bytes } = counted.get(name) ?? { packets: 0, bytes: 0 };
      const at = (field: "packets" | "bytes") => received.reduce((sum, counts) => sum + counts[protocol][field], 0);
      if (packets !== at("packets") || bytes !== at("bytes"))
        faults.push(`${name}: counted ${packets} (${bytes} bytes), received ${at("packets")} (${at("bytes")} bytes)`);
    }
    const udp = counted.get("allow udp 5000")?.packets ?? 0;
    const icmp = counted.get("allow icmp")?.packets ?? 0;
    const tcp = tiers.map((tier) => {
      const of = (status: TenantStatus) =>
        status.rules.find(({ name }) => name === "allow tcp 22")?.[tier].packets ?? 0;
      return of(after) - of(before);
    });
    const moved = tcp.every((packets) => packets > 0);
    const ok = faults.length === 0 && icmp > 0 && echo.received === 200 && udp === 400 && moved;
    const byTier = `${tcp.join(" + ")} of TCP by XDP, flowtable and stack`;
    return { ok, seen: [`${icmp} of ICMP, ${udp} of UDP, ${byTier}`, ...faults].join("; ") };
  },
};
