/** IPv6 packets, for what has to refuse them. */

/** `fd99::1` and the like, without an embedded IPv4 address. */
export function ipv6Bytes(address: string): Buffer {
  const [head = "", tail] = address.split("::");
  const words = (text: string) => text.split(":").filter((word) => word !== "");
  const [front, back] = [words(head), words(tail ?? "")];
  const zeros = tail === undefined ? [] : Array<string>(8 - front.length - back.length).fill("0");
  const bytes = Buffer.alloc(16);
  for (const [at, word] of [...front, ...zeros, ...back].entries())
    bytes.writeUInt16BE(Number.parseInt(word, 16), 2 * at);
  return bytes;
}

/** RFC 8200. */
export function ipv6(
  fields: { readonly src: string; readonly dst: string; readonly next: number; readonly hopLimit?: number },
  payload: Uint8Array,
): Buffer {
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header.writeUInt16BE(payload.length, 4);
  header[6] = fields.next;
  header[7] = fields.hopLimit ?? 64;
  ipv6Bytes(fields.src).copy(header, 8);
  ipv6Bytes(fields.dst).copy(header, 24);
  return Buffer.concat([header, payload]);
}

/** RFC 1071 over the pseudo-header of IPv6 and the payload, with its checksum field at an offset. */
export function withIpv6Checksum(src: string, dst: string, next: number, bytes: Buffer, at: number): Buffer {
  const pseudo = Buffer.concat([
    ipv6Bytes(src),
    ipv6Bytes(dst),
    Buffer.from([0, 0, bytes.length >> 8, bytes.length, 0, 0, 0, next]),
  ]);
  const right = Buffer.from(bytes);
  right.writeUInt16BE(0, at);
  let sum = 0;
  for (const part of [pseudo, right])
    for (let n = 0; n < part.length; n += 2) sum += ((part[n] ?? 0) << 8) + (part[n + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  right.writeUInt16BE(~sum & 0xffff, at);
  return right;
}
