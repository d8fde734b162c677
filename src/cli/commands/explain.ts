import { exitCodes, UsageError } from "../../errors.js";
import { defineCommand } from "../command.js";
import { type FlowSource, openFlows } from "../flow-source.js";

interface Words {
  readonly tenant?: string | undefined;
  readonly in?: boolean | undefined;
  readonly out?: boolean | undefined;
  readonly peer?: string | undefined;
  readonly device?: string | undefined;
  readonly flags?: string | undefined;
  readonly ttl: number;
  readonly length?: number | undefined;
  readonly source?: string | undefined;
  readonly destination?: string | undefined;
  readonly protocol?: string | undefined;
  readonly pcap?: string | undefined;
  readonly frame: number;
  readonly hex?: string | undefined;
}

export const explain = defineCommand({
  name: "explain",
  summary: "Say what would become of a packet now, and why, without sending it",
  description:
    "The packet is given in words, as a frame of a capture file, or as hex digits. XDP's own program is run on it with maps of its own in place of those that it writes to, and the kernel is asked for connection, rules, route and neighbour: no counter, flow or limit moves. Shows its way from top to bottom, the rule with its place in the config, and the rules that came close. With -j: one JSON value (docs/output/explain.schema.json). Exit code 0: it would be sent, or is for the machine itself; 1: it would be dropped, or nobody can tell.",
  positionalUsage: "[packet..]",
  positionals: {
    packet: {
      type: "string",
      array: true,
      describe:
        "In words: SOURCE DESTINATION [PROTOCOL], as it arrives; ADDRESS:PORT (ADDRESS for icmp); tcp, udp, icmp",
    },
  },
  options: {
    tenant: { type: "string", describe: "Whose it is: name or GRE key" },
    in: { type: "boolean", describe: "It comes from outside" },
    out: { type: "boolean", describe: "It comes from a host of the tenant's" },
    flags: {
      type: "string",
      describe: "Of TCP, such as syn,ack; when missing: syn, or ack where a connection is known",
    },
    ttl: { type: "number", default: 64, describe: "1 to 255" },
    length: { type: "number", describe: "Bytes of the IP packet; when missing, no payload" },
    peer: { type: "string", describe: "The tunnel endpoint that it comes from; when missing, by the tenant's routes" },
    pcap: { type: "string", describe: "A frame of this file, pcap or pcapng, in place of words" },
    frame: { type: "number", default: 1, describe: "Which frame of the file, counted from 1" },
    hex: { type: "string", describe: "A frame in hex digits, from its Ethernet header on, in place of words" },
    device: { type: "string", describe: "The NIC that it comes in by; when missing, where that is not in doubt" },
    instance: { type: "string", describe: "The instance, when its config is gone or broken" },
  },
  examples: [
    ["xgw explain --tenant user1 --in 1.1.1.7:4444 2.2.2.11:22 tcp", "may 1.1.1.7 begin to speak with 2.2.2.11:22?"],
    ["xgw explain --tenant user1 --out 10.0.0.7:4444 8.8.8.8:53 udp", "may 10.0.0.7 ask 8.8.8.8?"],
    ["xgw explain --pcap trace.pcapng --frame 17", "what would become of this one now?"],
  ],
  async handler({ instance, packet = [], ...options }, context) {
    const [source, destination, protocol, ...others] = packet as readonly string[];
    const words = { ...options, source, destination, protocol };
    checkWords(words, others);
    const flows = await openFlows(instance, context);
    using view = flows.view;
    const { openTrial } = await import("../../datapath/trial.js");
    const { explain } = await import("../../explain/explain.js");
    const { explainLines } = await import("../explain-lines.js");
    using trial = openTrial(view.pins);
    const arrival = await arrivalOf(words, flows, trial);
    const explanation = await explain(flows, trial, arrival);
    if (context.json) context.printJson(explanation);
    else for (const line of explainLines(explanation)) context.print(line);
    const isWell = explanation.verdict === "sent" || explanation.verdict === "delivered";
    return isWell ? exitCodes.done : exitCodes.failed;
  },
});

type Trial = Awaited<ReturnType<typeof import("../../datapath/trial.js")["openTrial"]>>;

/** Words, a capture or hex: one of them. */
function checkWords(words: Words, others: readonly string[]): void {
  const { pcap, hex, source, destination, tenant, in: isIn = false, out = false } = words;
  if (others.length > 0)
    throw new UsageError(`${JSON.stringify(others[0])} is one word too many`, {
      remedy: "give SOURCE DESTINATION PROTOCOL",
    });
  const given = [pcap, hex, source].filter((one) => one !== undefined).length;
  if (given !== 1)
    throw new UsageError(given === 0 ? "explain needs a packet" : "explain takes one packet", {
      remedy: "give SOURCE DESTINATION in words, or --pcap FILE, or --hex DIGITS",
    });
  if (source === undefined) return;
  if (destination === undefined || tenant === undefined)
    throw new UsageError(`a packet in words needs its ${tenant === undefined ? "--tenant" : "destination"}`, {
      remedy: "as in: xgw explain --tenant user1 --in 1.1.1.7:4444 2.2.2.11:22 tcp",
    });
  if (isIn === out)
    throw new UsageError(isIn ? "--in and --out are not for the same packet" : "where does the packet come from?", {
      remedy: "say --in (from outside) or --out (from a host of the tenant's)",
    });
}

async function arrivalOf(words: Words, source: FlowSource, trial: Trial) {
  const { linkNamed, memberOf, nicOfFrame } = await import("../../explain/arrival.js");
  if (words.source !== undefined) return arrivalOfWords(words, source, trial);
  const { frameOfCapture, frameOfHex } = await import("../../explain/capture.js");
  const frame =
    words.hex === undefined ? frameOfCapture(await readCapture(words.pcap ?? ""), words.frame) : frameOfHex(words.hex);
  if (frame.length < 14)
    throw new UsageError(`a frame of ${frame.length} bytes has no Ethernet header`, { remedy: "give all of it" });
  const { device } = words;
  const ifindex = device === undefined ? nicOfFrame(source.view, frame) : memberOf(linkNamed(device).ifindex);
  return { frame, ifindex };
}

async function readCapture(file: string): Promise<Buffer> {
  const { readFile } = await import("node:fs/promises");
  try {
    return await readFile(file);
  } catch (error) {
    const { message } = error as Error;
    throw new UsageError(`${file} cannot be read: ${message}`, { remedy: "name a capture file that there is" });
  }
}

async function arrivalOfWords(words: Words, { view, tenants }: FlowSource, trial: Trial) {
  const { arrivalOf } = await import("../../explain/arrival.js");
  const { parseTenant } = await import("../../flow/filter.js");
  const { flagsFor, parsePacket } = await import("../../explain/parse-words.js");
  const tenant = parseTenant(words.tenant ?? "", tenants);
  const packet = parsePacket(words);
  const flags = words.flags === undefined ? flagsFor(view, tenant.id, packet) : packet.flags;
  const { peer, device } = words;
  return arrivalOf(view, trial, {
    tenant,
    from: words.in ? "outside" : "tenant",
    packet: { ...packet, flags },
    peer,
    device,
  });
}
