/** What tenants' hosts do by themselves: they answer when the gateway asks for them. */

import { arp } from "../../test/bpf/support/packet.js";
import { tunnelMac } from "../frames/addresses.js";
import { draftAround, frameOf } from "../frames/draft.js";
import { layersOf, tunnelled, types } from "../frames/layers.js";
import type { AttackSite } from "./site.js";

export interface ArpAnswer {
  readonly key: number;
  readonly wire: number;
  readonly frame: Buffer;
}

/** The answer to an ARP request that left in a tenant's tunnel, of the host that is there; undefined for anything else. */
export function answerToArp({ hosts }: AttackSite, frame: Buffer): ArpAnswer | undefined {
  const { ip } = layersOf(frame);
  const asked = ip && tunnelled(ip);
  if (!asked?.arp || asked.arp.isReply) return undefined;
  const { sender, target } = asked.arp;
  const host = hosts.find((each) => each.key === asked.key && each.address === target && each.endpoint === ip?.dst);
  const mac = host?.way.tunnel?.macs?.[0];
  if (!host || mac === undefined) return undefined;
  const content = {
    type: types.arp,
    ip: Buffer.alloc(0),
    header: Buffer.alloc(0),
    payload: arp({
      operation: "reply",
      senderMac: mac,
      sender: target,
      targetMac: tunnelMac(host.key),
      target: sender,
    }).subarray(14),
    protocol: "other",
  } as const;
  return { key: host.key, wire: host.way.wire, frame: frameOf(draftAround(host.way, content)) };
}
