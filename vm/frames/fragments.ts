/** Datagrams in fragments, as a router on the way would have made them. */

import { type Draft, frameOf, setIpChecksum } from "./draft.js";

/** The inner datagram in two fragments. */
export function fragmentsOf(draft: Draft, id: number): Buffer[] {
  frameOf(draft); // lengths and checksums of the whole
  const segment = Buffer.concat([draft.header, draft.payload]);
  const cutAt = Math.max(8, (segment.length >> 4) << 3);
  const piece = (from: number, to: number, flagsAndOffset: number): Buffer => {
    const ip = Buffer.from(draft.ip);
    ip.writeUInt16BE(id, 4);
    ip.writeUInt16BE(flagsAndOffset, 6);
    const part = { ...draft, ip, header: Buffer.alloc(0), payload: segment.subarray(from, to) };
    part.spoiled.add("transport checksum").add("udp length");
    return frameOf(part);
  };
  return [piece(0, cutAt, 0x2000), piece(cutAt, segment.length, cutAt >> 3)];
}

/** The outer packet of a tunnelled one in two fragments, cut behind that many bytes of GRE and what it carries: 8, 16, … */
export function outerFragmentsOf(draft: Draft, id: number, cutAt: number): Buffer[] {
  const whole = frameOf(draft);
  const at = draft.eth.length + draft.vlans.length + 2;
  const header = whole.subarray(at, at + draft.outer.length);
  const content = whole.subarray(at + header.length, at + header.readUInt16BE(2));
  const piece = (from: number, to: number, more: boolean): Buffer => {
    const outer = Buffer.from(header);
    outer.writeUInt16BE(outer.length + to - from, 2);
    outer.writeUInt16BE(id, 4);
    outer.writeUInt16BE((more ? 0x2000 : 0) | (from / 8), 6);
    setIpChecksum(outer);
    return Buffer.concat([whole.subarray(0, at), outer, content.subarray(from, to)]);
  };
  return [piece(0, cutAt, true), piece(cutAt, content.length, false)];
}
