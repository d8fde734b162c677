/** What is sent on the connections of a site: packets drawn from a seed, each from a stream of numbers of its own. */

import type { Random } from "../../test/bpf/support/random.js";
import { type Draft, draftOf, frameOf, type Tuple, type Way } from "../frames/draft.js";
import { fragmentsOf } from "../frames/fragments.js";
import { type Mutation, mutations, nextFragmentId, suits } from "../frames/mutations.js";
import { stream } from "../frames/stream.js";

/** One direction of a living connection. */
export interface Side {
  readonly connection: number;
  readonly name: string;
  readonly way: Way;
  readonly tuple: Tuple;
}

/** One datagram or segment on its way to the gateway. */
export interface Packet {
  readonly number: number;
  readonly wire: number;
  /** More than one where the packet is a datagram in fragments. */
  readonly frames: readonly Buffer[];
  /** The side that it is of, and what was done to it. */
  readonly story: string;
  readonly mutations: readonly string[];
  readonly side: Side;
}

const largestPayload = { gretap: 1500 - 42 - 40, gre: 1500 - 28 - 40, plain: 1500 - 40 } as const;

export interface DrawOptions {
  readonly seed: number;
  readonly count: number;
  readonly sides: readonly Side[];
  /** Names of the mutations to be drawn; all when missing. */
  readonly only?: readonly string[] | undefined;
}

export function* drawPackets({ seed, count, sides, only }: DrawOptions): Generator<Packet> {
  const ended = new Set<number>();
  const choice = only === undefined ? mutations : mutations.filter(({ name }) => only.includes(name));
  for (let number = 0; number < count; number++) {
    const random = stream(seed, "packet", number);
    const living = sides.filter(({ connection }) => !ended.has(connection));
    // The last connections stay for the packets that end nothing.
    const mayEnd = living.length > sides.length / 2;
    const side = random.pick(living);
    const draft = drawDraft(side, random);
    const fits = (mutation: Mutation) => suits(mutation, draft) && (mayEnd || !mutation.ends);
    const applied: Mutation[] = [];
    const wanted = only === undefined ? random.pick([0, 0, 0, 1, 1, 1, 1, 1, 2, 2]) : 1;
    for (let n = 0; n < wanted; n++) {
      const fitting = choice.filter((mutation) => fits(mutation) && !applied.includes(mutation));
      if (fitting.length === 0) break;
      // To be drawn once in many packets, lest all connections end early.
      const mutation = random.pick(fitting);
      if (mutation.ends && random.integer(0, 2) > 0) continue;
      mutation.apply(draft, random);
      applied.push(mutation);
    }
    shorten(draft);
    if (applied.some(({ ends }) => ends)) ended.add(side.connection);
    const names = applied.map(({ name }) => name);
    const isFragmented = applied.length === 0 && only === undefined && random.integer(0, 19) === 0;
    yield {
      number,
      wire: side.way.wire,
      frames: isFragmented ? fragmentsOf(draft, nextFragmentId()) : [frameOf(draft)],
      story: `${side.name}: ${isFragmented ? "in two fragments" : names.join(" and ") || "nothing odd"}`,
      mutations: isFragmented ? ["two fragments"] : names,
      side,
    };
  }
}

/** What a NIC with an MTU of 1500 takes: room for the Ethernet header, and for one VLAN tag. */
const largestFrame = 1500 + 14 + 4;

function shorten(draft: Draft): void {
  const excess = frameOf(draft).length - largestFrame;
  if (excess > 0) draft.payload = draft.payload.subarray(0, Math.max(0, draft.payload.length - excess));
}

/** What varies in ordinary packets, too. */
function drawDraft(side: Side, random: Random): Draft {
  const { pick, integer, bytes } = random;
  const largest = largestPayload[side.way.wrap];
  const length = pick([0, 1, 2, 17, integer(0, 100), integer(0, largest), largest]);
  const draft = draftOf(side.way, side.tuple, bytes(length));
  draft.ip[1] = integer(0, 63) << 2;
  draft.ip[8] = pick([64, 63, 128, 255, 2, 3, integer(2, 255)]);
  draft.ip.writeUInt16BE(integer(0, 0xffff), 4);
  draft.ip.writeUInt16BE(pick([0x4000, 0x4000, 0]), 6);
  if (draft.outer.length > 0) {
    draft.outer[1] = integer(0, 63) << 2;
    draft.outer[8] = pick([64, 63, 255, integer(1, 255)]);
    draft.outer.writeUInt16BE(integer(0, 0xffff), 4);
  }
  if (draft.protocol === "tcp") {
    draft.header.writeUInt32BE(pick([1, integer(1, 5000), integer(0, 0xffff_fffe)]), 4);
    draft.header.writeUInt32BE(pick([1, integer(1, 5000), integer(0, 0xffff_fffe)]), 8);
    draft.header[13] = 0x10 | pick([0, 0x08, 0x20]);
    draft.header.writeUInt16BE(integer(0, 0xffff), 14);
  }
  return draft;
}
