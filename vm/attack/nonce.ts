/** Who sent a packet, written into its innermost payload. */

const magic = Buffer.from("xgwA");

/** Bytes of a nonce: the magic, the seed, the number. */
export const nonceBytes = 12;

export interface Nonce {
  readonly seed: number;
  /** Of the packet, within the seed. */
  readonly number: number;
}

export function nonceOf({ seed, number }: Nonce): Buffer {
  const nonce = Buffer.alloc(nonceBytes);
  magic.copy(nonce);
  nonce.writeUInt32BE(seed >>> 0, 4);
  nonce.writeUInt32BE(number, 8);
  return nonce;
}

/** All that are whole anywhere in some bytes, each once. */
export function noncesIn(bytes: Buffer): Nonce[] {
  const found = new Map<string, Nonce>();
  for (let at = bytes.indexOf(magic); at >= 0; at = bytes.indexOf(magic, at + 1)) {
    if (at + nonceBytes > bytes.length) break;
    const nonce = { seed: bytes.readUInt32BE(at + 4), number: bytes.readUInt32BE(at + 8) };
    found.set(`${nonce.seed} ${nonce.number}`, nonce);
  }
  return [...found.values()];
}
