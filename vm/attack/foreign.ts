/** Somebody else's tunnel on the gateway's machine: no business of xgw's, whatever is under attack. */

import { checksum, gre, ipv4, raw } from "../../test/bpf/support/packet.js";
import { draftAround, frameOf } from "../frames/draft.js";
import { protocols, types } from "../frames/layers.js";
import { firstHonest } from "./honest.js";
import { nonceOf } from "./nonce.js";
import { identify, type Sent } from "./sent.js";
import { type AttackSite, foreign, plainWay, sideOf } from "./site.js";

/** An echo request from the far end of the tunnel, which the gateway answers. */
export function echoInForeignTunnel(site: AttackSite, seed: number): Sent {
  const side = sideOf(site, "unlisted");
  if (!side) throw new Error("every site has a NIC that xgw is not told of");
  const nonce = { seed, number: firstHonest - 1 };
  const message = Buffer.concat([Buffer.from([8, 0, 0, 0, 0, 7, 0, 7]), nonceOf(nonce)]);
  message.writeUInt16BE(checksum(message), 2);
  const inner = ipv4({ src: foreign.far, dst: foreign.address }, raw(protocols.icmp, message));
  const tunnel = gre({ type: types.ipv4, key: foreign.key }, inner);
  const outer = ipv4({ src: foreign.remote, dst: foreign.local }, tunnel);
  const content = {
    ip: outer.subarray(0, 20),
    header: Buffer.alloc(0),
    payload: outer.subarray(20),
    protocol: "other",
  } as const;
  const frame = frameOf(draftAround(plainWay(side, 1), content));
  return {
    ...nonce,
    ...identify(site, side.wire, frame),
    wire: side.wire,
    frames: [frame],
    story: "foreign GRE",
    shape: "foreign",
  };
}
