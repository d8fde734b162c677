/** A frame in words, a line a layer: what a failed comparison shows. */

import { checksum, etherType, ipProtocol } from "./packet.js";

export function dissect(frame: Buffer): string[] {
  return [...ethernetLines(frame), `${frame.length} bytes: ${frame.toString("hex")}`];
}

const hex = (value: number, digits: number) => `0x${value.toString(16).padStart(digits, "0")}`;
const address = (bytes: Buffer) => bytes.join(".");
const mac = (bytes: Buffer) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");

function ethernetLines(bytes: Buffer): string[] {
  if (bytes.length < 14) return cut("ethernet", bytes);
  const type = bytes.readUInt16BE(12);
  const line = `ethernet ${mac(bytes.subarray(6, 12))} > ${mac(bytes.subarray(0, 6))}, type ${hex(type, 4)}`;
  return [line, ...payloadLines(type, bytes.subarray(14))];
}

function payloadLines(type: number, bytes: Buffer): string[] {
  if (type === etherType.ipv4) return ipv4Lines(bytes);
  return type === etherType.bridged ? ethernetLines(bytes) : cut("payload", bytes);
}

function ipv4Lines(bytes: Buffer): string[] {
  if (bytes.length < 20) return cut("ipv4", bytes);
  const headerLength = ((bytes[0] ?? 0) & 15) * 4;
  const totalLength = bytes.readUInt16BE(2);
  const right = checksum(bytes.subarray(0, headerLength)) === 0 ? "right" : "WRONG";
  const fields = [
    `ipv4 ${address(bytes.subarray(12, 16))} > ${address(bytes.subarray(16, 20))}`,
    `protocol ${bytes[9]}`,
    `tos ${hex(bytes[1] ?? 0, 2)}`,
    `length ${totalLength} of ${bytes.length}`,
    `id ${bytes.readUInt16BE(4)}`,
    `fragment ${hex(bytes.readUInt16BE(6), 4)}`,
    `ttl ${bytes[8]}`,
    `checksum ${hex(bytes.readUInt16BE(10), 4)} (${right})`,
  ];
  return [fields.join(", "), ...transportLines(bytes[9] ?? 0, bytes.subarray(headerLength))];
}

function transportLines(protocol: number, bytes: Buffer): string[] {
  if (protocol === ipProtocol.gre && bytes.length >= 4) {
    const flags = bytes.readUInt16BE(0);
    const type = bytes.readUInt16BE(2);
    if (flags !== 0x2000 || bytes.length < 8) return cut(`gre, flags ${hex(flags, 4)}`, bytes);
    const line = `gre, flags ${hex(flags, 4)}, type ${hex(type, 4)}, key ${bytes.readUInt32BE(4)}`;
    return [line, ...payloadLines(type, bytes.subarray(8))];
  }
  if (protocol === ipProtocol.tcp && bytes.length >= 20) {
    const numbers = `seq ${bytes.readUInt32BE(4)}, ack ${bytes.readUInt32BE(8)}, flags ${hex(bytes[13] ?? 0, 2)}`;
    return [`tcp ${ports(bytes)}, ${numbers}, checksum ${hex(bytes.readUInt16BE(16), 4)}`];
  }
  if (protocol === ipProtocol.udp && bytes.length >= 8)
    return [`udp ${ports(bytes)}, length ${bytes.readUInt16BE(4)}, checksum ${hex(bytes.readUInt16BE(6), 4)}`];
  return cut(`protocol ${protocol}`, bytes);
}

const ports = (bytes: Buffer) => `${bytes.readUInt16BE(0)} > ${bytes.readUInt16BE(2)}`;
const cut = (what: string, bytes: Buffer) => [`${what}: ${bytes.length} bytes`];
