/** Traffic of a gateway whose public side is plain IP on another NIC; the client is reached without a tunnel. */

import type { Check, Lab } from "../check.js";
import { tearDown } from "./operation.js";
import { intact, tiersBetween, transfer } from "./traffic.js";

const megabyte = 2 ** 20;
const users = ["user1", "user2"] as const;
const publicAddress = { user1: "2.2.2.11", user2: "2.2.2.12" } as const;

const pings: Check = {
  id: "uplink-ping",
  title: "ping from the plain client to both public addresses, and from the partner in user1's tunnel",
  wanted: "3 of 3 answers each",
  async run({ client }) {
    const seen = [
      await client.ping(publicAddress.user1),
      await client.ping(publicAddress.user2),
      await client.ping(publicAddress.user1, 3, "192.168.9.9"),
    ];
    return { ok: seen.every((answers) => answers === 3), seen: `${seen.join(", ")} of 3` };
  },
};

/** Equal tuples inside both tenants but for the public address, which is what tells them apart. */
const bulkTransfers: Check = {
  id: "uplink-tiers",
  title: "plain client to 2.2.2.11:22 (gretap) and 2.2.2.12:22 (gre) at once, from one source port",
  wanted: "all arrives intact, at least 99 % of each tenant's packets in XDP",
  async run(lab) {
    const localPort = 40000;
    const before = await Promise.all(users.map((user) => lab.xgw.tenant(user)));
    const ends = await Promise.all(
      users.map((user, n) =>
        transfer(
          lab.client,
          lab[user],
          { host: publicAddress[user], port: 22, localPort },
          { client: 10 + n, server: 20 + n },
          lab.bulkBytes,
        ),
      ),
    );
    const after = await Promise.all(users.map((user) => lab.xgw.tenant(user)));
    const shares = users.map((_, n) => {
      const tiers = tiersBetween(before[n] as never, after[n] as never);
      return { ...tiers, share: (100 * tiers.xdp) / (tiers.xdp + tiers.kernel) };
    });
    const whole = ends.every((both) => intact(both, lab.bulkBytes) && both.server.remotePort === localPort);
    const seen = shares.map(({ share, xdp, kernel }) => `${share.toFixed(2)} % (${xdp} in XDP, ${kernel} not)`);
    return {
      ok: whole && shares.every(({ share, kernel }) => share >= 99 && kernel > 0),
      seen: `${whole ? "intact" : "NOT INTACT"}; ${seen.join(", ")}`,
    };
  },
};

const tenantsReachOut: Check = {
  id: "uplink-outbound",
  title: "both tenants to the plain client's TCP port 8080, from the same address and port",
  wanted: "works; the client sees 2.2.2.11 and 2.2.2.12",
  async run({ client, user1, user2 }) {
    const sources: string[] = [];
    let whole = true;
    for (const host of [user1, user2]) {
      const at = { host: "1.1.1.7", port: 8080, localPort: 41000 };
      const ends = await transfer(host, client, at, { client: 5, server: 6 }, megabyte);
      whole &&= intact(ends, megabyte);
      sources.push(ends.server.remoteAddress.replace("::ffff:", ""));
    }
    return { ok: whole && `${sources}` === "2.2.2.11,2.2.2.12", seen: `1 MB each way from ${sources.join(" and ")}` };
  },
};

const udp: Check = {
  id: "uplink-udp",
  title: "UDP from the plain client to both tenants, and from both to the client",
  wanted: "every datagram is echoed, most by XDP",
  async run(lab) {
    const { client, user1, user2 } = lab;
    const stream = { port: 5000, count: 60, intervalMs: 5, bytes: 401 };
    for (const host of [client, user1, user2]) await host.serveUdp(5000);
    const before = await forwarded(lab);
    const results = await Promise.all([
      client.streamUdp({ ...stream, host: publicAddress.user1, localPort: 6001 }),
      client.streamUdp({ ...stream, host: publicAddress.user2, localPort: 6002 }),
      user1.streamUdp({ ...stream, host: "1.1.1.7", localPort: 6003 }),
      user2.streamUdp({ ...stream, host: "1.1.1.7", localPort: 6003 }),
    ]);
    const byXdp = (await forwarded(lab)) - before;
    for (const host of [client, user1, user2]) await host.close(5000);
    const echoed = results.map(({ received }) => received).join(", ");
    const ok = results.every(({ received, sent }) => received === sent) && byXdp >= 0.8 * 2 * 60 * results.length;
    return { ok, seen: `${echoed} of 60 echoed, ${byXdp} of ${2 * 60 * results.length} packets by XDP` };
  },
};

async function forwarded({ xgw }: Lab): Promise<number> {
  const { tenants } = await xgw.counted();
  return tenants.reduce((sum, { packets }) => sum + packets.forwarded, 0);
}

const bothSides: Check = {
  id: "uplink-both-sides",
  title: "the partner in user1's tunnel and the plain client to 2.2.2.11:22, one after the other",
  wanted: "both work, and user1 sees who it is",
  async run({ client, user1 }) {
    const from = async (localAddress: string) => {
      const at = { host: publicAddress.user1, port: 22, localPort: 42000, localAddress };
      return transfer(client, user1, at, { client: 7, server: 8 }, megabyte);
    };
    const ends = [await from("192.168.9.9"), await from("1.1.1.7")];
    const seen = ends.map(({ server }) => server.remoteAddress.replace("::ffff:", ""));
    const ok = ends.every((both) => intact(both, megabyte)) && `${seen}` === "192.168.9.9,1.1.1.7";
    return { ok, seen: `1 MB each way from ${seen.join(" and ")}` };
  },
};

export const uplinkChecks: readonly Check[] = [pings, bulkTransfers, tenantsReachOut, udp, bothSides, tearDown];
