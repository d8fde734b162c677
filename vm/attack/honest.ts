/** Connections of people who mean no harm, which have to work all the time: what they send must arrive. */

import type { Random } from "../../test/bpf/support/random.js";
import { type Draft, draftOf, frameOf, type Protocol } from "../frames/draft.js";
import { type Answer, answerTo } from "../frames/frame.js";
import { type Ipv4, layersOf, protocols } from "../frames/layers.js";
import type { Living } from "./adversary.js";
import { nonceOf, noncesIn } from "./nonce.js";
import { identify, type Sent } from "./sent.js";
import { type AttackSite, outsiders, plainWay, sideOf } from "./site.js";

/** Numbers of honest packets, apart from the adversary's. */
export const firstHonest = 0x8000_0000;

interface Opening extends Answer {
  readonly name: string;
  readonly key: number;
  readonly byUplink: boolean;
}

/** Both sides of a connection that has been made. */
export interface HonestConnection extends Omit<Opening, "way" | "tuple"> {
  readonly sides: readonly [Answer, Answer];
  /** To which MAC address the packets of each side leave. */
  readonly nextHops: readonly [string, string];
}

export interface Exchange {
  /** Sends a packet; gives what left for it. */
  ask(sent: Sent): Promise<readonly { readonly wire: number; readonly frame: Buffer }[]>;
}

function openingsOf(site: AttackSite, { integer }: Random): Opening[] {
  const uplink = sideOf(site, "uplink");
  return (site.config.tenants ?? []).flatMap(({ key, publicIps = [] }, index): Opening[] => {
    const [host, neighbour, client] = site.hosts.filter((each) => each.key === key);
    const [publicIp] = publicIps;
    if (!host || !neighbour || !client || !publicIp) return [];
    const tuple = (protocol: Protocol, src: string, dst: string, dport: number) => ({
      protocol,
      src,
      sport: integer(20_000, 60_000),
      dst,
      dport,
    });
    const outside = outsiders[0] ?? "";
    return [
      {
        name: "to a host",
        key,
        byUplink: false,
        way: host.way,
        tuple: tuple("udp", host.address, client.address, 5000),
      },
      ...(index === 0
        ? [
            {
              name: "to a host",
              key,
              byUplink: false,
              way: host.way,
              tuple: tuple("tcp", host.address, client.address, 443),
            },
            {
              name: "from a host",
              key,
              byUplink: false,
              way: client.way,
              tuple: tuple("udp", client.address, publicIp.address, 53),
            },
            {
              name: "from a private host to a public address",
              key,
              byUplink: false,
              way: neighbour.way,
              tuple: tuple("udp", neighbour.address, publicIp.address, 53),
            },
          ]
        : []),
      ...(uplink
        ? [{ name: "to outside", key, byUplink: true, way: host.way, tuple: tuple("udp", host.address, outside, 5000) }]
        : []),
      ...(uplink && index === 0
        ? [
            {
              name: "from outside",
              key,
              byUplink: true,
              way: plainWay(uplink, 1),
              tuple: tuple("udp", outside, publicIp.address, 53),
            },
          ]
        : []),
    ];
  });
}

export class Honest {
  readonly connections: HonestConnection[] = [];
  readonly faults: string[] = [];
  sent = 0;
  arrived = 0;
  /** Connections that a host of their own tenant's ended, and that were made anew. */
  ended = 0;

  constructor(
    private readonly site: AttackSite,
    private readonly seed: number,
    private readonly exchange: Exchange,
  ) {}

  /** Those that cannot be made are faults. */
  async open(random: Random, isExpected: (opening: { key: number; byUplink: boolean }) => boolean): Promise<void> {
    for (const opening of openingsOf(this.site, random)) {
      if (!isExpected(opening)) continue;
      const connection = await this.make(opening);
      if (connection) this.connections.push(connection);
      else this.faults.push(`${this.nameOf(opening)}: the honest connection cannot be made`);
    }
  }

  /** The same between other ports, in the place of one that was ended. */
  async renew(connection: HonestConnection): Promise<void> {
    const { way, tuple } = connection.sides[0];
    const renewed = await this.make({ ...connection, way, tuple: { ...tuple, sport: 19_999 - this.ended++ } });
    if (renewed) this.connections[this.connections.indexOf(connection)] = renewed;
    else this.faults.push(`${this.nameOf(connection)}: the honest connection cannot be made anew`);
  }

  private nameOf = ({ name, key }: Pick<Opening, "name" | "key">) => `key ${key}, ${name}`;

  private async make(opening: Opening): Promise<HonestConnection | undefined> {
    const { name, key, byUplink, way, tuple } = opening;
    const first = await this.send(opening, { way, tuple }, numbers(100, 0, flags.syn));
    const back = first && answerTo(first.frame, first.wire);
    const second = back && (await this.send(opening, back, numbers(200, 101, flags.syn | flags.ack)));
    if (!second) return undefined;
    const nextHops = [nextHopOf(first.frame), nextHopOf(second.frame)] as const;
    const connection = { name, key, byUplink, sides: [{ way, tuple }, back] as const, nextHops };
    for (let n = 0; n < 2; n++)
      for (const side of [0, 1] as const) if (!(await this.say(connection, side))) return undefined;
    return connection;
  }

  /** Whether a packet of one side has arrived at the other. */
  async say(connection: HonestConnection, side: 0 | 1): Promise<boolean> {
    const change = side === 0 ? numbers(101, 201, flags.ack) : numbers(201, 101, flags.ack);
    const left = await this.send(connection, connection.sides[side], change);
    if (left && nextHopOf(left.frame) !== connection.nextHops[side])
      this.faults.push(`${this.nameOf(connection)}: an honest packet was led to ${nextHopOf(left.frame)}`);
    return left !== undefined;
  }

  private async send(of: Pick<Opening, "name" | "key">, { way, tuple }: Answer, change: (draft: Draft) => void) {
    const number = firstHonest + this.sent++;
    const draft = draftOf(way, tuple, nonceOf({ seed: this.seed, number }));
    draft.ip.writeUInt16BE(0, 4);
    change(draft);
    const frame = frameOf(draft);
    const story = `${this.nameOf(of)}: ${tuple.protocol} ${tuple.src}:${tuple.sport} > ${tuple.dst}:${tuple.dport}`;
    const sent: Sent = {
      seed: this.seed,
      number,
      ...identify(this.site, way.wire, frame),
      wire: way.wire,
      frames: [frame],
      story,
      shape: "honest",
    };
    const left = await this.exchange.ask(sent);
    const own = left.find(
      (each) => noncesIn(each.frame).some((nonce) => nonce.number === number) && !isError(each.frame),
    );
    if (own) this.arrived++;
    return own;
  }

  /** For those who would break in. */
  get living(): Living[] {
    return this.connections.flatMap(({ key, sides }) =>
      sides.map(({ way, tuple }) => ({ key, way, tuple: { ...tuple, protocol: protocols[tuple.protocol] } })),
    );
  }
}

const nextHopOf = (frame: Buffer) => layersOf(frame).macs[0];

/**
 * Whether a packet as it arrives may end a connection, which any host of the connection's tenant may do with the right tuple:
 * TCP with SYN, FIN or RST. UDP is ended by nobody, and an ICMP error ends nothing.
 */
export function mayEnd({ sides }: HonestConnection, { protocol, src, dst, sport, dport, payload }: Ipv4): boolean {
  if (protocol !== protocols.tcp || ((payload[13] ?? 0) & 0x07) === 0) return false;
  return sides.some(
    ({ tuple }) =>
      tuple.protocol === "tcp" &&
      src === tuple.src &&
      dst === tuple.dst &&
      sport === tuple.sport &&
      dport === tuple.dport,
  );
}

/** The gateway's words about a packet are not the packet. */
const isError = (frame: Buffer) => answerTo(frame, 0) === undefined;

const flags = { syn: 0x02, ack: 0x10 } as const;

const numbers = (seq: number, ack: number, bits: number) => (draft: Draft) => {
  if (draft.protocol !== "tcp") return;
  draft.header.writeUInt32BE(seq, 4);
  draft.header.writeUInt32BE(ack, 8);
  draft.header[13] = bits;
};
