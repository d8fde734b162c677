/**
 * A capture file for Wireshark and tshark: pcapng (IETF draft-ietf-opsawg-pcapng), with a comment in each packet. Blocks are
 * in this machine's byte order, as the format has it; times in nanoseconds.
 */

export type LinkType = "ethernet" | "ip";

/** LINKTYPE_ETHERNET, LINKTYPE_RAW; their places are the interfaces' numbers in the file. */
const interfaces: readonly { readonly link: LinkType; readonly type: number }[] = [
  { link: "ethernet", type: 1 },
  { link: "ip", type: 101 },
];

const block = { section: 0x0a0d0d0a, interface: 1, packet: 6 } as const;
const option = { comment: 1, userApplication: 4, name: 2, timeResolution: 9 } as const;
const byteOrderMagic = 0x1a2b3c4d;
/** 10^-9 s */
const nanoseconds = 9;

export interface CapturedPacket {
  /** Since 1970. */
  readonly timeNs: bigint;
  readonly link: LinkType;
  /** Its first ones, or all. */
  readonly bytes: Buffer;
  /** Of the whole packet, bytes. */
  readonly length: number;
  readonly comment: string;
}

/** What a file begins with. */
export function pcapngHeader(): Buffer {
  const section = [u32(byteOrderMagic), u16(1), u16(0), Buffer.alloc(8, 0xff)];
  return Buffer.concat([
    blockOf(block.section, [...section, options([[option.userApplication, Buffer.from("xgw monitor")]])]),
    ...interfaces.map(({ link, type }) =>
      blockOf(block.interface, [
        ...[u16(type), u16(0), u32(0)],
        options([
          [option.name, Buffer.from(`xgw-${link}`)],
          [option.timeResolution, Buffer.from([nanoseconds])],
        ]),
      ]),
    ),
  ]);
}

export function pcapngPacket({ timeNs, link, bytes, length, comment }: CapturedPacket): Buffer {
  const number = interfaces.findIndex((known) => known.link === link);
  return blockOf(block.packet, [
    u32(number),
    ...[u32(Number(timeNs >> 32n)), u32(Number(timeNs & 0xffff_ffffn))],
    ...[u32(bytes.length), u32(Math.max(length, bytes.length))],
    padded(bytes),
    options([[option.comment, Buffer.from(comment)]]),
  ]);
}

function blockOf(type: number, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length = u32(body.length + 12);
  return Buffer.concat([u32(type), length, body, length]);
}

function options(list: readonly (readonly [code: number, value: Buffer])[]): Buffer {
  const each = list.flatMap(([code, value]) => [u16(code), u16(value.length), padded(value)]);
  return Buffer.concat([...each, u16(0), u16(0)]);
}

/** To a multiple of 4 bytes. */
const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);

const u16 = (value: number): Buffer => Buffer.from(Uint16Array.of(value).buffer);
const u32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer);
