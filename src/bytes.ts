/** Numbers as bytes, as the kernel's netlink and the maps have them in network byte order. */

export function be32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
