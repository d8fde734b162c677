/** One pass: the site's connections are made, and the packets sent, with the gateway in one of its states. */

import { setTimeout as sleep } from "node:timers/promises";
import { reasons as reasonTable } from "../../src/datapath/reasons.js";
import { dissect } from "../../test/bpf/support/dissect.js";
import { type Draft, draftOf, frameOf } from "../frames/draft.js";
import { answerTo, isSentByXdp, look } from "../frames/frame.js";
import type { Departure } from "../lab/own-namespace.js";
import { contradiction, type Explainer, type Told } from "./explained.js";
import type { Gateway } from "./gateway.js";
import type { Packet, Side } from "./packets.js";
import type { Opening } from "./site.js";

/** What a packet came to. */
export interface Outcome {
  readonly left: readonly Departure[];
  /** "forwarded" for what XDP sent, or why it dropped the packet; empty when it passed the packet up or is not on. */
  readonly reasons: readonly string[];
  /** What XDP counted it by, whatever that did to it. */
  readonly counted: readonly string[];
  /** What was told of it before. */
  readonly told?: Told | undefined;
}

const drops: ReadonlySet<string> = new Set(
  reasonTable.filter(({ verdict }) => verdict === "drop").map(({ name }) => name),
);

/** What the kernel asks and answers by a clock of its own. */
const isArp = (frame: Buffer) => {
  const { etherType, innerType } = look(frame);
  return etherType === 0x0806 || innerType === 0x0806;
};

/** Both sides of each connection, one after the other. */
export async function establishAll(gateway: Gateway, openings: readonly Opening[]): Promise<Side[]> {
  const sides: Side[] = [];
  for (const [connection, opening] of openings.entries())
    sides.push(...(await establish(gateway, opening, connection)));
  return sides;
}

/** The outcome of each packet. What comes out before the next packet goes in belongs to the one before. */
export async function sendAll(gateway: Gateway, packets: readonly Packet[], explainer?: Explainer): Promise<Outcome[]> {
  const outcomes: { left: Departure[]; reasons: string[]; counted: string[]; told?: Told | undefined }[] = [];
  let before = gateway.decided();
  for (const packet of packets) {
    outcomes.at(-1)?.left.push(...takeAll(gateway));
    const told = await explainer?.tell(packet);
    for (const frame of packet.frames) gateway.send(packet.wire, frame);
    const left = takeAll(gateway);
    const after = gateway.decided();
    const counted = [...after].flatMap(([reason, n]) => Array<string>(n - (before.get(reason) ?? 0)).fill(reason));
    before = after;
    const reasons = counted.filter((reason) => drops.has(reason));
    // Of a plain packet nothing tells who sent it, but what XDP does not send it counts.
    const byXdp = gateway.isFast && counted.length === 0 && left.length > 0;
    if (byXdp || left.some(({ frame }) => isSentByXdp(frame))) reasons.push("forwarded");
    outcomes.push({ left, reasons, counted, told });
  }
  await sleep(patienceMs);
  outcomes.at(-1)?.left.push(...takeAll(gateway));
  return outcomes;
}

/** Of packets that were explained before they were sent: those that came otherwise, each with what was told. */
export function contradictions(packets: readonly Packet[], outcomes: readonly Outcome[]): string[] {
  return packets.flatMap((packet, n) => {
    const { told, ...seen } = outcomes[n] ?? { left: [], counted: [] };
    const why = told && contradiction(told, seen);
    if (!told || why === undefined) return [];
    const steps = told.explanation.steps.map(({ step, text }) => `  ${step}: ${text}`);
    return [[`packet ${packet.number}, ${packet.story}: ${why}`, ...steps].join("\n")];
  });
}

/** Whatever comes out of the cables by itself belongs to nobody. */
export async function drain(gateway: Gateway): Promise<void> {
  await sleep(patienceMs);
  takeAll(gateway);
}

const takeAll = (gateway: Gateway): Departure[] => gateway.take().filter(({ frame }) => !isArp(frame));

/** For a first packet that waits for something of the kernel's. */
const patienceMs = 100;
const payload = Buffer.from("a few words");
const flags = { syn: 0x02, ack: 0x10 };

async function establish(gateway: Gateway, { name, way, tuple }: Opening, connection: number): Promise<Side[]> {
  const original: Side = { connection, name: `${name}, original`, way, tuple };
  const send = async (what: string, side: Side, change: (draft: Draft) => void): Promise<Departure> => {
    const draft = draftOf(side.way, side.tuple, side.tuple.protocol === "udp" ? payload : Buffer.alloc(0));
    change(draft);
    gateway.send(side.way.wire, frameOf(draft));
    let left = takeAll(gateway);
    if (left.length === 0) {
      await sleep(patienceMs);
      left = takeAll(gateway);
    }
    const [only] = left;
    if (only && left.length === 1) return only;
    const lines = left.flatMap(({ frame }) => dissect(frame)).join("\n");
    throw new Error(`${side.name}: the ${what} left the gateway as ${left.length} frames, not as one\n${lines}`);
  };
  const numbers = (seq: number, ack: number, bits: number) => (draft: Draft) => {
    if (draft.protocol !== "tcp") return;
    draft.header.writeUInt32BE(seq, 4);
    draft.header.writeUInt32BE(ack, 8);
    draft.header[13] = bits;
  };
  const first = await send("first packet", original, numbers(100, 0, flags.syn));
  const answer = answerTo(first.frame, first.wire);
  if (!answer) throw new Error(`${name}: what left is no packet of the connection: ${first.frame.toString("hex")}`);
  const reply: Side = { connection, name: `${name}, reply`, ...answer };
  await send("answer", reply, numbers(200, 101, flags.syn | flags.ack));
  for (let n = 0; n < 2; n++) {
    await send("packet", original, numbers(101, 201, flags.ack));
    await send("packet", reply, numbers(201, 101, flags.ack));
  }
  return [original, reply];
}
