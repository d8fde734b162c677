/** Packets of the largest size, and what becomes of those beyond it. */

import type { TenantStatus } from "../../../src/status.js";
import type { Check, Lab } from "../check.js";
import type { Namespace } from "../netns.js";
import { gatewayAddress } from "../topology.js";
import { intact, transfer } from "./traffic.js";

const bytes = 2 * 2 ** 20;
/** Of an inner packet that a gretap tunnel over an MTU of 1500 carries. */
const tunnelMtu = 1458;

/** user1's tunnel with an MTU that is not the path's: its outer packets go in fragments, as a careless cloud sends them. */
async function setTunnel(host: Namespace, mtu: number, ...discovery: readonly string[]): Promise<void> {
  const change = `link change gre1000 type gretap local 172.168.0.11 remote ${gatewayAddress} key 1000`;
  await host.ip(...discovery.map((flags) => `${change} ${flags}`), `link set gre1000 mtu ${mtu}`);
}

/** Sends one datagram that must not be fragmented twice, and says what the second attempt came to. Node.js knows no DF. */
async function sendTwice(host: Namespace, to: string, size: number): Promise<string> {
  const program =
    'socket(S, AF_INET, SOCK_DGRAM, 0); setsockopt(S, 0, 10, pack("i", 2)); ' +
    `connect(S, sockaddr_in(5000, inet_aton("${to}"))); send(S, "x" x ${size - 28}, 0); ` +
    `select(undef, undef, undef, 0.5); print send(S, "x" x ${size - 28}, 0) ? "sent" : $!;`;
  return (await host.run("perl", "-MSocket", "-e", program)).trim();
}

const packetsUnder = (tenant: TenantStatus, reason: "mtu" | "fragment") => tenant.xdp[reason]?.packets ?? 0;

/** A transfer from user1 to the client, with the packets that were too large for the tunnel. */
async function withTooLarge(lab: Lab): Promise<{ ok: boolean; tooLarge: number }> {
  const count = (tenant: TenantStatus) => packetsUnder(tenant, "mtu") + packetsUnder(tenant, "fragment");
  const before = count(await lab.xgw.tenant("user1"));
  const ends = await transfer(lab.user1, lab.client, { host: "1.1.1.7", port: 23 }, { client: 9, server: 10 }, bytes);
  return { ok: intact(ends, bytes), tooLarge: count(await lab.xgw.tenant("user1")) - before };
}

export const pathMtu: Check = {
  id: "path-mtu",
  title: "user1 with a tunnel MTU of 1500, where the path has 1458",
  wanted: "TCP sends nothing too large; a datagram too large is refused at its sender, one that fits is not",
  async run(lab) {
    const host = lab.topology.hosts.user1;
    await setTunnel(host, 1500, "nopmtudisc ignore-df");
    await lab.client.serveUdp(5000); // a closed port would be told by ICMP, too
    try {
      const { ok, tooLarge } = await withTooLarge(lab);
      const large = await sendTwice(host, "1.1.1.7", tunnelMtu + 1);
      const fits = await sendTwice(host, "1.1.1.7", tunnelMtu);
      const route = (await host.run("ip", "route", "get", "1.1.1.7")).replaceAll(/\s+/g, " ");
      const learned = / mtu (\d+)/.exec(route)?.[1] ?? "none";
      const tcp = `TCP ${ok ? "intact" : "DAMAGED"}, ${tooLarge} packets too large`;
      return {
        ok: ok && tooLarge === 0 && large === "Message too long" && fits === "sent" && learned === `${tunnelMtu}`,
        seen: `${tcp}; ${tunnelMtu + 1} bytes: ${large}; ${tunnelMtu} bytes: ${fits}; path MTU ${learned}`,
      };
    } finally {
      await lab.client.close(5000);
      await setTunnel(host, tunnelMtu, "nopmtudisc noignore-df", "pmtudisc"); // not both at once
      await host.ip("route flush cache");
    }
  },
};

/** What the kernel has sent, as on the wire: pieces of what GRO had merged count one by one. */
function kernelOf({ forwarded: { flowtable, stack } }: TenantStatus): { packets: number; bytes: number } {
  return { packets: flowtable.packets + stack.packets, bytes: flowtable.bytes + stack.bytes };
}

export const offloads: Check = {
  id: "offloads",
  title: "transfers with GRO and GSO off and on at the gateway and both hosts, odd lengths",
  wanted: "all arrives, at least 90 % in XDP, whichever it is",
  async run(lab) {
    const { gateway, client, user1 } = lab.topology.hosts;
    const odd = bytes + 9;
    const seen: string[] = [];
    let ok = true;
    try {
      for (const state of ["off", "on"]) {
        for (const host of [gateway, client, user1])
          await host.run("ethtool", "-K", "eth0", "gro", state, "gso", state);
        const before = await lab.xgw.tenant("user1");
        const ends = await transfer(
          lab.client,
          lab.user1,
          { host: "2.2.2.11", port: 22 },
          { client: 11, server: 12 },
          odd,
        );
        const after = await lab.xgw.tenant("user1");
        const forwarded = after.packets.forwarded - before.packets.forwarded;
        const share = (100 * forwarded) / (forwarded + after.packets.passed - before.packets.passed);
        const [now, then] = [kernelOf(after), kernelOf(before)];
        const mean = (now.bytes - then.bytes) / (now.packets - then.packets);
        ok &&= intact(ends, odd) && share >= 90;
        const sums = intact(ends, odd) ? "equal" : "DIFFERENT";
        seen.push(
          `${state}: sums ${sums}, ${share.toFixed(1)} % in XDP, the kernel's packets ${Math.round(mean)} bytes`,
        );
      }
      return { ok, seen: seen.join("; ") };
    } finally {
      for (const host of [gateway, client, user1]) await host.run("ethtool", "-K", "eth0", "gro", "off", "gso", "on");
    }
  },
};
