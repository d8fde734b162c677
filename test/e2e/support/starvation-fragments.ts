/** The memory that the kernel has for fragments, what fills it, and datagrams that need some of it. */

import { readdirSync } from "node:fs";
import { fragmentLimits } from "../../../src/model/fragments.js";
import { ipv4, raw as rawBytes, udp } from "../../bpf/support/packet.js";
import type { Conversation } from "./conversations.js";
import { type Begun, pins, type Stage, type Story, slices, victimHosts } from "./starvation.js";

const payloadBytes = 1400;
/** A driver's buffer of such a fragment takes no less. */
const bufferBytes = 2048;
const floodSlice = 1100;
/** So long, in seconds, the kernel waits for the rest of a datagram: longer than a flood takes, but on a machine that is busy. */
const patience = 60;
const { pool, share, nicShare } = fragmentLimits;

/** What is the same of each story, whoever floods with first fragments of datagrams; `own`: what is the hostile one's share. */
export const fragmentStory = (own: number) =>
  ({
    sysctls: {
      "net.ipv4.ipfrag_time": patience,
      // What is anybody's, and twice what is promised to two tenants and the one NIC: src/model/fragments.ts.
      "net.ipv4.ipfrag_high_thresh": pool + 2 * (nicShare + 2 * share),
    },
    live: 4,
    fresh: 8,
    begin: inFragments,
    asked: slices * floodSlice,
    got: (seconds) => ((pool + own) / bufferBytes) * (1 + Math.floor(seconds / patience)),
    lifted: {
      lift: () => {
        for (const name of readdirSync(pins.link(""))) if (name === "fragment") pins.removeLink(name);
      },
      suffers: ({ tried, begun }) => begun < tried,
    },
  }) satisfies Partial<Story>;

/** First fragments, whose datagrams never become whole. */
export const firstFragments = (slice: number, src: string, dst: string): Buffer[] =>
  Array.from({ length: floodSlice }, (_, n) =>
    ipv4({ src, dst, df: false, id: 1 + floodSlice * slice + n, more: true }, rawBytes(17, Buffer.alloc(payloadBytes))),
  );

/** Of the victim: each begins with a datagram in fragments, which arrives if all of it does. */
async function inFragments({ raw }: Stage, conversations: readonly Conversation[]): Promise<Begun> {
  const pieces = 4;
  const bytes = pieces * payloadBytes;
  const frames = conversations.flatMap(({ client, server, sport, dport }) => {
    const whole = udp({ sport, dport, payload: Buffer.alloc(bytes - 8) }).bytes(client, server);
    return Array.from({ length: pieces }, (_, n) => {
      const offset = n * payloadBytes;
      const piece = whole.subarray(offset, offset + payloadBytes);
      const fields = { src: client, dst: server, df: false, id: sport, offset, more: n < pieces - 1 };
      return raw.frame(victimHosts, ipv4(fields, rawBytes(17, piece)));
    });
  });
  const arrived = new Map<number, number>();
  for (const { key, packet } of await raw.carry(frames)) {
    const [id, length] = [packet.readUInt16BE(4), packet.readUInt16BE(2) - 20];
    if (key === victimHosts.key) arrived.set(id, (arrived.get(id) ?? 0) + length);
  }
  return {
    tried: conversations.length,
    begun: conversations.filter(({ sport }) => arrived.get(sport) === bytes).length,
  };
}
