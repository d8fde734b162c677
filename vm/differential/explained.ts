/** What `xgw explain` says of each packet before it is sent, and whether it came so. */

import { interfaceIndex } from "libbpf-ts";
import { FlowView } from "../../src/datapath/flow-view.js";
import { Pins } from "../../src/datapath/pins.js";
import { openTrial, type XdpTrial } from "../../src/datapath/trial.js";
import { explain } from "../../src/explain/explain.js";
import type { Explanation } from "../../src/explain/schema.js";
import { namedTenants } from "../../src/flow/subject.js";
import { answerTo } from "../frames/frame.js";
import type { Departure } from "../lab/own-namespace.js";
import type { Packet } from "./packets.js";
import { instance, type Site } from "./site.js";

/** Told of one packet; the frame is that of XDP, which is sent only where XDP sends it. */
export interface Told {
  readonly explanation: Explanation;
  readonly frame: Buffer;
}

/** Explains packets of a site, over what the gateway holds at each moment. */
export class Explainer implements Disposable {
  readonly #trial: XdpTrial;
  readonly #view: FlowView;
  readonly #gateway: Parameters<typeof explain>[0];

  constructor(private readonly site: Site) {
    const pins = new Pins(instance);
    this.#trial = openTrial(pins);
    this.#view = new FlowView(pins);
    const tenants = namedTenants(this.#view);
    this.#gateway = { view: this.#view, instance, tenants, describeRule: () => ({}), rulesOf: () => undefined };
  }

  [Symbol.dispose](): void {
    this.#view.close();
    this.#trial.close();
  }

  /** Undefined for a datagram in fragments: each frame of it changes what becomes of the next one. */
  async tell({ wire, frames }: Packet): Promise<Told | undefined> {
    const [frame, ...others] = frames;
    const cable = this.site.cables[wire];
    if (!frame || !cable || others.length > 0) return undefined;
    const ifindex = interfaceIndex(cable.nic);
    const explanation = await explain(this.#gateway, this.#trial, { frame, ifindex });
    return { explanation, frame: this.#trial.run(frame, ifindex).frame };
  }
}

/** Reasons by which a packet goes up that opens or closes: whether conntrack believes its numbers, nobody can ask. */
const judgedByConntrack: ReadonlySet<string> = new Set(["tcp_control"]);

/** One packet in seconds goes up so that the kernel uses the way, which is a matter of when. */
const dependsOnTime = (told: string, seen: string) =>
  [told, seen].includes("sample") && [told, seen].includes("forwarded");

/** What came of it, by reason as XDP counted, and by what left. */
export interface Seen {
  /** Of those that XDP counted; empty where it sent the packet. */
  readonly counted: readonly string[];
  readonly left: readonly Departure[];
}

/** Undefined: it came as it was told. */
export function contradiction({ explanation, frame }: Told, { counted, left }: Seen): string | undefined {
  const { verdict, by, reason, leaves } = explanation;
  const seen = counted.length === 0 ? "forwarded" : counted.join(", ");
  if (dependsOnTime(reason, seen)) return undefined;
  if (seen !== reason) return `reason ${reason} was told, ${seen} was counted`;
  if (by === "xdp" && verdict === "sent")
    return left.some((one) => one.frame.equals(frame)) ? undefined : "what XDP was told to send did not leave";
  if (verdict === "unknown" || verdict === "delivered" || judgedByConntrack.has(reason)) return undefined;
  const isSent = leaves !== undefined && left.some((one) => isOf(one, leaves));
  if (isSent === (verdict === "sent")) return undefined;
  return `${verdict} was told, and ${left.length} frames left, ${isSent ? "one of them" : "none of them"} the packet`;
}

/** Whether a frame bears the packet with this tuple. */
function isOf({ frame, wire }: Departure, leaves: NonNullable<Explanation["leaves"]>): boolean {
  const tuple = answerTo(frame, wire)?.tuple;
  return (
    tuple !== undefined &&
    tuple.dst === leaves.source &&
    tuple.src === leaves.destination &&
    tuple.dport === leaves.sourcePort &&
    tuple.sport === leaves.destinationPort
  );
}
