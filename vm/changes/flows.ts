/** Live connections through both gateways, and packets of each of their sides. */

import type { Random } from "../../test/bpf/support/random.js";
import { type Draft, draftOf, frameOf, type Protocol, type Tuple } from "../frames/draft.js";
import { answerTo } from "../frames/frame.js";
import { leftFor } from "./judge.js";
import { client, outsider, servers } from "./site.js";
import type { Twin } from "./twin.js";
import type { Departure, Party, World } from "./world.js";

/** One side of a connection. */
export interface Side {
  readonly name: string;
  readonly party: Party;
  readonly tuple: Tuple;
  /** TCP's, as this side counts. */
  readonly numbers: readonly [seq: number, ack: number];
}

export interface Flow {
  readonly name: string;
  readonly sides: readonly [Side, Side];
}

/** Inner packet lengths that are sent: one that fits everywhere, and one that fits the usual MTU only. */
export const lengths = [64, 1420] as const;

const syn = 0x02;
const ack = 0x10;

/** A packet by which it can be told again: the number is the IP id. */
export function packetOf(
  world: World,
  { party, tuple, numbers }: Side,
  number: number,
  length: number,
  bits = ack,
): Departure {
  const way = world.wayOf(party);
  const headers = tuple.protocol === "tcp" ? 40 : 28;
  const draft: Draft = draftOf(way, tuple, Buffer.alloc(length - headers, "xgw"));
  draft.ip.writeUInt16BE(number, 4);
  if (tuple.protocol === "tcp") {
    draft.header.writeUInt32BE(numbers[0], 4);
    draft.header.writeUInt32BE(numbers[1], 8);
    draft.header[13] = bits;
  }
  return { wire: way.wire, frame: frameOf(draft) };
}

interface Opening {
  readonly name: string;
  readonly party: Party;
  readonly to: Party;
  readonly tuple: Tuple;
}

/** @param tenant index */
function openingOf(world: World, tenant: number, kind: number, sport: number, protocol: Protocol): Opening {
  const of = (address: string): Party => ({ tenant, address });
  const publicAddress = world.tenants[tenant]?.publicIps?.[0]?.address ?? "";
  const opening = (party: Party, to: Party, dst: string, what: string): Opening => ({
    name: `${protocol} of tenant ${tenant}, ${what}`,
    party,
    to,
    tuple: { protocol, src: party.address, sport, dst, dport: 5000 },
  });
  const target = of(world.tenants[tenant]?.publicIps?.[0]?.to ?? servers[0]);
  switch (kind % 4) {
    case 0:
      return opening(of(servers[1]), of(client), client, "from a host to another");
    case 1:
      return opening(of(client), target, publicAddress, "to a public address, by a tunnel");
    case 2:
      return opening(of(servers[1]), world.outside, outsider, "to outside");
    default:
      return opening(world.outside, target, publicAddress, "from outside");
  }
}

/** The numbers of packets, in both gateways alike. */
export class Numbers {
  private last = 0;
  next = (): number => {
    this.last = (this.last % 0xffff) + 1;
    return this.last;
  };
}

/**
 * The next connection, made in all gateways; undefined when it cannot be made in any of them.
 *
 * @throws when it is not the same one in all
 */
export function open(
  world: World,
  twins: readonly Twin[],
  { pick }: Pick<Random, "pick">,
  number: number,
  numbers: Numbers,
): Flow | undefined {
  const opening = openingOf(world, number % 2, Math.floor(number / 2), 20_000 + number, pick(["udp", "tcp"] as const));
  const flows = twins.map((twin) => make(world, twin, opening, numbers));
  const [first] = flows;
  if (flows.some((flow) => JSON.stringify(flow) !== JSON.stringify(first)))
    throw new Error(`another connection was made by each gateway: ${JSON.stringify(flows)}`);
  return first;
}

function make(world: World, twin: Twin, { name, party, to, tuple }: Opening, numbers: Numbers): Flow | undefined {
  const ask = (side: Side, bits: number): Departure | undefined => {
    const number = numbers.next();
    return leftFor(number, twin.send(packetOf(world, side, number, lengths[0], bits)))[0];
  };
  const opener: Side = { name: `${name}, original`, party, tuple, numbers: [100, 0] };
  const first = ask(opener, syn);
  const answer = first && answerTo(first.frame, first.wire);
  if (!answer) return undefined;
  const other: Side = { name: `${name}, reply`, party: to, tuple: answer.tuple, numbers: [200, 101] };
  if (!ask(other, syn | ack)) return undefined;
  const sides = [
    { ...opener, numbers: [101, 201] },
    { ...other, numbers: [201, 101] },
  ] as const;
  for (let n = 0; n < 2; n++) for (const side of sides) ask(side, ack);
  return { name, sides };
}
