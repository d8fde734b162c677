/** Damage that somebody does to the running gateway, and how long it takes until it is put right. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Check, Lab } from "../check.js";

interface Damage {
  readonly id: string;
  readonly title: string;
  /** What the daemon logs when it is mended. */
  readonly logs?: RegExp;
  /** Where all tenants depend on what is damaged, only that traffic goes on afterwards. */
  readonly hitsEverybody?: true;
  run(lab: Lab): Promise<unknown>;
}

const pin = (name: string) => `/sys/fs/bpf/xgw/gw1/links/${name}`;
const repaired = /"msg":"drift repaired"/;

const damages: readonly Damage[] = [
  {
    id: "route",
    title: "a tenant's route is deleted",
    run: ({ topology }) => topology.hosts.gateway.ip("route del 10.0.0.7/32 table 100001"),
  },
  {
    id: "tunnel",
    title: "a tenant's tunnel is deleted",
    run: ({ topology }) => topology.hosts.gateway.ip("link del xgre1000"),
  },
  {
    id: "vrf",
    title: "a tenant's VRF is deleted",
    run: ({ topology }) => topology.hosts.gateway.ip("link del xvrf1000"),
  },
  {
    id: "element",
    title: "an nft element is deleted",
    run: ({ topology }) => topology.hosts.gateway.run("nft", "delete element ip xgw_gw1 dnat_to { 1 . 2.2.2.11 }"),
  },
  {
    id: "table",
    title: "the nft table is deleted",
    run: ({ topology }) => topology.hosts.gateway.run("nft", "delete table ip xgw_gw1"),
  },
  {
    id: "chain",
    title: "the rules of an nft chain are deleted",
    run: ({ topology }) => topology.hosts.gateway.run("nft", "flush chain ip xgw_gw1 forward"),
  },
  {
    id: "share",
    title: "the policies of a share of the tenants are led to no more",
    run: ({ topology }) => topology.hosts.gateway.run("nft", "delete element ip xgw_gw1 inbound_shares { 0 }"),
  },
  {
    id: "rule",
    title: "the l3mdev rule is deleted",
    hitsEverybody: true,
    run: ({ topology }) => topology.hosts.gateway.ip("rule del pref 0 l3mdev"),
  },
  {
    id: "xdp",
    title: "XDP is detached from the NIC",
    run: ({ topology }) => topology.hosts.gateway.run("bpftool", "link", "detach", "pinned", pin("xdp_eth0")),
  },
  {
    id: "quota",
    title: "the program that keeps tenants' limits is detached from netfilter",
    run: ({ topology }) => topology.hosts.gateway.run("bpftool", "link", "detach", "pinned", pin("quota_forward")),
  },
  {
    id: "pin",
    title: "the learner's pin is removed",
    run: ({ topology }) => topology.hosts.gateway.run("rm", pin("learn_eth0")),
  },
  {
    id: "bpffs",
    title: "all pins are removed, and with them the programs and maps",
    run: ({ topology }) => topology.hosts.gateway.run("rm", "-r", "/sys/fs/bpf/xgw/gw1"),
  },
  {
    id: "neighbour",
    title: "a tunnel endpoint gets another MAC address",
    logs: /neighbour 172\.168\.0\.11 on eth0/,
    async run({ topology }) {
      await topology.hosts.user1.run("sysctl", "-qw", "net.ipv4.conf.eth0.arp_notify=1");
      await topology.hosts.user1.ip("link set dev eth0 address 02:00:00:00:11:11");
    },
  },
  {
    id: "nic",
    title: "the NIC goes down and up",
    logs: /./,
    hitsEverybody: true,
    run: ({ topology }) => topology.hosts.gateway.ip("link set dev eth0 down", "link set dev eth0 up"),
  },
];

/** So long at most, emulated: programs may have to be loaded. */
const noticedMs = 200_000;

/** Milliseconds until a new ping to user1 is answered. */
async function healedMs({ client }: Lab): Promise<number> {
  const started = performance.now();
  while ((await client.ping("2.2.2.11", 1)) === 0)
    if (performance.now() - started > 60_000) throw new Error("user1 does not answer again");
  return Math.round(performance.now() - started);
}

function drift({ id, title, run, logs = repaired, hitsEverybody }: Damage): Check {
  return {
    id: `drift-${id}`,
    title,
    wanted: `noticed, repaired and logged; then nothing is left to do${hitsEverybody ? "" : "; user2 loses nothing but what XDP gives to the kernel"}`,
    async run(lab) {
      const { client, user2, xgw } = lab;
      await user2.serveUdp(5000);
      const to = { host: "2.2.2.12", port: 5000, localPort: 42_000, bytes: 400 };
      await client.streamUdp({ ...to, count: 10, intervalMs: 20 }); // the flow is learned
      await healedMs(lab);
      const samplesBefore = await xgw.samples("user2");
      const stream = client.streamUdp({ ...to, count: 100_000, intervalMs: 10 });
      const healing = async () => {
        await sleep(500);
        const from = xgw.daemonLog.length;
        await run(lab);
        const line = await xgw.logLine(logs, from, noticedMs).catch((error: Error) => {
          if (logs.source === ".") return {};
          throw error;
        });
        return { line, healed: await healedMs(lab) };
      };
      // Whatever comes of it: the next check has a stream of its own.
      const ended = async () => {
        client.stopStream();
        const seen = await stream;
        await user2.close(5000);
        return seen;
      };
      const { line, healed } = await healing().catch(async (error) => {
        await ended();
        throw error;
      });
      const { sent, received } = await ended();
      const { inStep, pending } = await xgw.status();
      const { tookMs, verifiedMs, noticed, why } = line as {
        tookMs?: number;
        verifiedMs?: number;
        noticed?: string[];
        why?: string[];
      };
      const verified = verifiedMs === undefined ? "" : ` (verified after ${verifiedMs})`;
      const repair = `${(noticed ?? why ?? []).join(", ")}: in ${tookMs} ms${verified}, first ping answered ${healed} ms after that`;
      const samples = await xgw.samples("user2");
      const given = samples < samplesBefore ? samples : samples - samplesBefore; // the maps may be new ones
      const ok = inStep && (hitsEverybody || received >= sent - given);
      const user2Saw = `${received} of ${sent} echoed, ${given} samples`;
      return { ok, seen: `${repair}; user2: ${user2Saw}${inStep ? "" : `; left: ${pending}`}` };
    },
  };
}

export const drifts: readonly Check[] = damages.map(drift);
