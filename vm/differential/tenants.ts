/**
 * Many tenants, each with the identical tuple at the same time: what comes in under a tenant's key leaves under it, with
 * the tenant's own payload, and conntrack finds room for every connection.
 */

import { macOf, tunnelMac } from "../frames/addresses.js";
import { draftOf, frameOf, type Tuple, type Way } from "../frames/draft.js";
import { answerTo, look } from "../frames/frame.js";
import { run } from "../lab/netns.js";
import type { Neighbour } from "../lab/own-namespace.js";
import { Gateway } from "./gateway.js";
import { instance, type Site } from "./site.js";

export interface TenantsResult {
  readonly tenants: number;
  /** Packets that the hosts sent, and those that left as they should. */
  readonly sent: number;
  readonly right: number;
  /** Sent by XDP, of the packets. */
  readonly forwarded: number;
  /** Of conntrack, over all CPUs. */
  readonly insertFailed: number;
  /** The first few packets that left otherwise. */
  readonly wrong: readonly string[];
  readonly seconds: number;
}

const underlay = "172.168.0.1";
const client = { address: "1.1.1.7", endpoint: "172.168.0.7", mac: macOf(1, 7) };
const host = { address: "10.0.0.7", endpoint: "172.168.0.11", mac: macOf(1, 11) };
const gatewayMac = macOf(0, 1);
const firstKey = 1000;
const kindOf = (key: number) => (key % 2 === 0 ? ("gretap" as const) : ("gre" as const));

function siteOf(keys: readonly number[]): Site {
  const tenant = (key: number) => ({
    name: `tenant${key}`,
    key,
    tunnel: kindOf(key),
    addresses: ["10.0.0.1/24"],
    routes: [client, host].map(({ address, endpoint }) => ({ to: `${address}/32`, via: endpoint })),
  });
  const inner = keys
    .filter((key) => kindOf(key) === "gretap")
    .flatMap((key): Neighbour[] => [client, host].map(({ address, mac }) => ({ device: `xgre${key}`, address, mac })));
  return {
    config: {
      apiVersion: "xgw/v1",
      instance,
      underlay: { device: "eth0", address: underlay },
      nics: [{ name: "eth0", xdp: "native" }],
      tenants: keys.map(tenant),
    },
    cables: [{ nic: "eth0", mac: gatewayMac, addresses: [`${underlay}/24`], mtu: 1500 }],
    neighbours: [...[client, host].map(({ endpoint, mac }) => ({ device: "eth0", address: endpoint, mac })), ...inner],
    routes: [],
    services: [],
    summary: `${keys.length} tenants`,
  };
}

const wayOf = (key: number): Way => ({
  wire: 0,
  wrap: kindOf(key),
  sourceMac: host.mac,
  gatewayMac,
  vlans: [],
  tunnel: {
    endpoint: host.endpoint,
    gateway: underlay,
    key,
    ...(kindOf(key) === "gretap" ? { macs: [host.mac, tunnelMac(key)] as const } : {}),
  },
});

/** The one tuple of all tenants, in both directions: nothing is translated. */
const tuple: Tuple = { protocol: "tcp", src: host.address, sport: 40000, dst: client.address, dport: 80 };

async function insertFailed(): Promise<number> {
  const text = await run("conntrack", ["-S"]);
  return [...text.matchAll(/insert_failed=(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Packets of data each way, after the handshake; the first few teach the flows. */
const rounds = 4;
const flags = { syn: 0x02, ack: 0x10 };

export async function runTenants(count: number, folder: string): Promise<TenantsResult> {
  const began = performance.now();
  const keys = Array.from({ length: count }, (_, n) => firstKey + n);
  const gateway = await Gateway.start(siteOf(keys), folder);
  try {
    const failedBefore = await insertFailed();
    const answers = new Map<number, { way: Way; tuple: Tuple }>();
    const wrong: string[] = [];
    let sent = 0;
    let right = 0;
    /** One packet a tenant, all tenants in turn. */
    const all = (what: string, fromClient: boolean, bits: number, seq: number, ack: number) => {
      for (const key of keys) {
        const from = fromClient ? answers.get(key) : { way: wayOf(key), tuple };
        sent++;
        if (!from) {
          wrong.push(`key ${key}: the client cannot answer what it never got`);
          continue;
        }
        const payload = bits === flags.ack ? Buffer.from(`${what} of the tenant with key ${key}`) : Buffer.alloc(0);
        const draft = draftOf(from.way, from.tuple, payload);
        draft.header.writeUInt32BE(seq, 4);
        draft.header.writeUInt32BE(ack, 8);
        draft.header[13] = bits;
        gateway.send(0, frameOf(draft));
        const left = gateway.take().map(({ frame }) => frame);
        const fault = faultOf(left, key, payload);
        if (fault === undefined) right++;
        else wrong.push(`key ${key}, ${what}: ${fault}`);
        const answer = left[0] && answerTo(left[0], 0);
        if (answer && !answers.has(key)) answers.set(key, answer);
      }
    };
    all("SYN", false, flags.syn, 100, 0);
    all("SYN ACK", true, flags.syn | flags.ack, 200, 101);
    for (let round = 0; round < rounds; round++) {
      all(`question ${round}`, false, flags.ack, 101, 201);
      all(`answer ${round}`, true, flags.ack, 201, 101);
    }
    return {
      tenants: count,
      sent,
      right,
      forwarded: gateway.reasons().get("forwarded") ?? 0,
      insertFailed: (await insertFailed()) - failedBefore,
      wrong: wrong.slice(0, 5),
      seconds: (performance.now() - began) / 1000,
    };
  } finally {
    await gateway.stop();
  }
}

/** What is wrong with what left, when one packet with this payload was to leave under this key. */
function faultOf(left: readonly Buffer[], key: number, payload: Buffer): string | undefined {
  const [frame] = left;
  if (!frame || left.length !== 1) return `${left.length} frames left, not one`;
  const { gre, ip } = look(frame);
  if (gre === undefined || ip === undefined) return `what left is no tunnelled packet: ${frame.toString("hex")}`;
  if (frame.readUInt32BE(gre + 4) !== key) return `it left under key ${frame.readUInt32BE(gre + 4)}`;
  const seen = frame.subarray(ip + 40, ip + frame.readUInt16BE(ip + 2));
  return seen.equals(payload) ? undefined : `its payload is "${seen.toString()}"`;
}
