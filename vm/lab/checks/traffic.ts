/** Traffic that the config allows. */

import type { TenantStatus } from "../../../src/status.js";
import type { Exchange } from "../agent.js";
import type { Check, Lab, Seen, Tiers } from "../check.js";
import type { Host } from "../host.js";

const megabyte = 2 ** 20;

/** One TCP connection with `bytes` each way; both ends' reports. */
export async function transfer(
  from: Host,
  to: Host,
  at: { readonly host: string; readonly port: number; readonly localPort?: number; readonly localAddress?: string },
  seeds: { readonly client: number; readonly server: number },
  bytes: number,
): Promise<{ client: Exchange; server: Exchange }> {
  await to.serveTcp({ port: at.port, seed: seeds.server, bytes });
  try {
    const client = await from.connectTcp({ ...at, seed: seeds.client, bytes });
    return { client, server: await to.tcpServed(at.port) };
  } finally {
    await to.close(at.port);
  }
}

export const intact = ({ client, server }: { client: Exchange; server: Exchange }, bytes: number) =>
  client.sent === server.received &&
  server.sent === client.received &&
  client.receivedBytes === bytes &&
  server.receivedBytes === bytes;

export const simultaneousTransfers: Check = {
  id: "simultaneous-transfers",
  title: "bulk transfers, client to 2.2.2.11:22 and 2.2.2.12:23 at once, from one source port",
  wanted: "all arrives, SHA-256 equal at both ends of both",
  async run({ client, user1, user2, bulkBytes }) {
    const localPort = 40000;
    const [first, second] = await Promise.all([
      transfer(client, user1, { host: "2.2.2.11", port: 22, localPort }, { client: 1, server: 2 }, bulkBytes),
      transfer(client, user2, { host: "2.2.2.12", port: 23, localPort }, { client: 3, server: 4 }, bulkBytes),
    ]);
    const ports = `from ports ${first.server.remotePort} and ${second.server.remotePort}`;
    const ok =
      intact(first, bulkBytes) &&
      intact(second, bulkBytes) &&
      first.server.remotePort === localPort &&
      second.server.remotePort === localPort;
    const sums = [first, second].map((both) => (intact(both, bulkBytes) ? "equal" : "DIFFERENT")).join(", ");
    return { ok, seen: `4 x ${bulkBytes / megabyte} MB ${ports}, sums ${sums}` };
  },
};

export const pings: Check = {
  id: "ping",
  title: "ping from the client to both public addresses",
  wanted: "3 of 3 answers from each",
  async run({ client }) {
    const first = await client.ping("2.2.2.11");
    const second = await client.ping("2.2.2.12");
    return { ok: first === 3 && second === 3, seen: `${first} and ${second} of 3` };
  },
};

function reachClient(name: "user1" | "user2", port: number, publicAddress: string): Check {
  return {
    id: `${name}-reaches-client`,
    title: `${name} to client:${port}`,
    wanted: `works; the client sees ${publicAddress}`,
    async run(lab) {
      const ends = await transfer(lab[name], lab.client, { host: "1.1.1.7", port }, { client: 5, server: 6 }, megabyte);
      const source = ends.server.remoteAddress.replace("::ffff:", "");
      return { ok: intact(ends, megabyte) && source === publicAddress, seen: `1 MB each way from ${source}` };
    },
  };
}

export const tenantsReachClient: readonly Check[] = [
  reachClient("user1", 23, "2.2.2.11"),
  reachClient("user2", 22, "2.2.2.12"),
];

export const udpBothWays: Check = {
  id: "udp",
  title: "UDP from the client to both tenants, and from user1 to the client",
  wanted: "every datagram is echoed; the client sees 2.2.2.11",
  async run({ client, user1, user2 }) {
    const stream = { port: 5000, count: 50, intervalMs: 5, bytes: 400 };
    for (const host of [client, user1, user2]) await host.serveUdp(5000);
    const results = [
      await client.streamUdp({ ...stream, host: "2.2.2.11" }),
      await client.streamUdp({ ...stream, host: "2.2.2.12" }),
      await user1.streamUdp({ ...stream, host: "1.1.1.7" }),
    ];
    const { remoteAddress } = await client.udpServed(5000);
    for (const host of [client, user1, user2]) await host.close(5000);
    const echoed = results.map(({ received }) => received).join(", ");
    const ok = results.every(({ received, sent }) => received === sent) && remoteAddress === "2.2.2.11";
    return { ok, seen: `${echoed} of 50 echoed, from ${remoteAddress}` };
  },
};

/** What a tenant's packets met between two readings. */
export function tiersBetween(before: TenantStatus, after: TenantStatus): Tiers {
  return {
    xdp: after.packets.forwarded - before.packets.forwarded,
    kernel: after.packets.passed - before.packets.passed,
  };
}

/** A transfer to user1, with the tiers that carried it. */
export async function measuredTransfer(lab: Lab): Promise<{
  intact: boolean;
  tiers: Tiers;
  flowtable: number;
  stack: number;
}> {
  const { client, user1, bulkBytes, xgw } = lab;
  const before = await xgw.tenant("user1");
  const at = { host: "2.2.2.11", port: 22 };
  const ends = await transfer(client, user1, at, { client: 7, server: 8 }, bulkBytes);
  const after = await xgw.tenant("user1");
  return {
    intact: intact(ends, bulkBytes),
    tiers: tiersBetween(before, after),
    flowtable: after.forwarded.flowtable.packets - before.forwarded.flowtable.packets,
    stack: after.forwarded.stack.packets - before.forwarded.stack.packets,
  };
}

export const bulkTransfer: Check = {
  id: "tiers",
  title: "a bulk transfer's packets by tier",
  wanted: "at least 99 % in XDP, the first ones in the kernel",
  async run(lab): Promise<Seen> {
    const { intact, tiers } = await measuredTransfer(lab);
    const share = (100 * tiers.xdp) / (tiers.xdp + tiers.kernel);
    return {
      ok: intact && share >= 99 && tiers.kernel > 0,
      seen: `${share.toFixed(2)} % in XDP: ${tiers.xdp} packets, ${tiers.kernel} by the kernel`,
      tiers,
    };
  },
};
