/**
 * A tenant's hosts on one side of the gateway and who they talk to on the other, both of whom are the test: connections
 * that begin, live ones that go on, and what becomes of each of their packets.
 */

import { ipv4, type TcpFlag, tcp } from "../../bpf/support/packet.js";
import type { End, RawGateway, Sent } from "./raw-gateway.js";

/** Who talks to whom, by TCP. */
export interface Conversation {
  readonly client: string;
  readonly server: string;
  readonly sport: number;
  readonly dport: number;
}

export interface Carried {
  readonly packets: number;
  readonly lost: number;
  readonly byXdp: number;
}

interface Segment {
  readonly from: "client" | "server";
  readonly flags: readonly TcpFlag[];
  readonly seq: number;
  readonly ack: number;
}

/** First sequence numbers of client and server. */
const [clientIsn, serverIsn] = [1000, 5000];
const syn: Segment = { from: "client", flags: ["syn"], seq: clientIsn, ack: 0 };
const synAck: Segment = { from: "server", flags: ["syn", "ack"], seq: serverIsn, ack: clientIsn + 1 };
/** Without data, so that they are right at any time. */
const clientsWord: Segment = { from: "client", flags: ["ack"], seq: clientIsn + 1, ack: serverIsn + 1 };
const serversWord: Segment = { from: "server", flags: ["ack"], seq: serverIsn + 1, ack: clientIsn + 1 };
/** What the kernel has to see of each way before XDP follows it. */
const opening: readonly Segment[] = [syn, synAck, clientsWord, serversWord];

export class Conversations {
  private readonly live: Conversation[] = [];

  constructor(
    private readonly raw: RawGateway,
    private readonly clients: End,
    private readonly servers: End,
  ) {}

  /** Begins connections: how many, and in how many of them the handshake and the server's first word arrived. */
  async begin(conversations: readonly Conversation[]): Promise<{ readonly tried: number; readonly begun: number }> {
    let going = conversations;
    for (const segment of opening) {
      const arrived = await this.say(going, segment);
      going = going.filter((conversation) => arrived.has(id(conversation, segment)));
    }
    this.live.push(...going);
    return { tried: conversations.length, begun: going.length };
  }

  /** A packet each way of all that are live. */
  async goOn(): Promise<Carried> {
    let [packets, lost, byXdp] = [0, 0, 0];
    for (const segment of [serversWord, clientsWord]) {
      const arrived = await this.say(this.live, segment);
      packets += this.live.length;
      for (const conversation of this.live) {
        const by = arrived.get(id(conversation, segment));
        if (by === undefined) lost++;
        if (by === "xdp") byXdp++;
      }
    }
    return { packets, lost, byXdp };
  }

  private async say(conversations: readonly Conversation[], segment: Segment): Promise<Map<string, Sent["by"]>> {
    const from = segment.from === "client" ? this.clients : this.servers;
    const sent = await this.raw.carry(
      conversations.map((conversation) => this.raw.frame(from, packetOf(conversation, segment))),
    );
    return new Map(sent.filter(({ key }) => key === from.key).map(({ packet, by }) => [idOf(packet), by]));
  }
}

/** The first packet of one. */
export const beginning = (conversation: Conversation): Buffer => packetOf(conversation, syn);

function packetOf({ client, server, sport, dport }: Conversation, { from, ...segment }: Segment): Buffer {
  return from === "client"
    ? ipv4({ src: client, dst: server }, tcp({ ...segment, sport, dport }))
    : ipv4({ src: server, dst: client }, tcp({ ...segment, sport: dport, dport: sport }));
}

const id = ({ client, server, sport, dport }: Conversation, { from }: Segment) =>
  from === "client" ? `${client}:${sport} > ${server}:${dport}` : `${server}:${dport} > ${client}:${sport}`;

/** The same, of a packet that left the gateway. */
const idOf = (packet: Buffer) =>
  `${packet.subarray(12, 16).join(".")}:${packet.readUInt16BE(20)} > ${packet.subarray(16, 20).join(".")}:${packet.readUInt16BE(22)}`;
