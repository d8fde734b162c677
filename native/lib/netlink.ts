/** Netlink: asks the kernel for what bpf(2) does not tell. Numbers of its own are in host byte order. */
import { endianness } from "node:os";
import { addon } from "./addon.js";
import { BpfError, check } from "./error.js";

const LE = endianness() === "LE";

/** Attributes by type; of several of a type, the last. */
export class Attributes {
  readonly #byType = new Map<number, Buffer>();

  constructor(bytes: Buffer) {
    for (let at = 0; at + 4 <= bytes.length; ) {
      const length = u16(bytes, at);
      if (length < 4 || at + length > bytes.length) break;
      this.#byType.set(u16(bytes, at + 2) & 0x3fff, bytes.subarray(at + 4, at + length));
      at += (length + 3) & ~3;
    }
  }

  /** The value of one, which is a part of the message. */
  bytes(type: number): Buffer | undefined {
    return this.#byType.get(type);
  }

  nested(type: number): Attributes | undefined {
    const bytes = this.#byType.get(type);
    return bytes === undefined ? undefined : new Attributes(bytes);
  }

  u8(type: number): number | undefined {
    return this.#byType.get(type)?.[0];
  }

  u32(type: number): number | undefined {
    const bytes = this.#byType.get(type);
    return bytes === undefined || bytes.length < 4 ? undefined : u32(bytes, 0);
  }

  text(type: number): string | undefined {
    return this.#byType.get(type)?.toString("utf8").replace(/\0.*$/s, "");
  }
}

export function u16(bytes: Buffer, at: number): number {
  return LE ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
}

export function u32(bytes: Buffer, at: number): number {
  return LE ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
}

export function putU32(bytes: Buffer, value: number, at: number): void {
  if (LE) bytes.writeUInt32LE(value >>> 0, at);
  else bytes.writeUInt32BE(value >>> 0, at);
}

/** One attribute: its length and type, the value, and what fills it up to 4 bytes. */
export function attribute(type: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(4 + ((value.length + 3) & ~3));
  putU16(bytes, 4 + value.length, 0);
  putU16(bytes, type, 2);
  value.copy(bytes, 4);
  return bytes;
}

function putU16(bytes: Buffer, value: number, at: number): void {
  if (LE) bytes.writeUInt16LE(value, at);
  else bytes.writeUInt16BE(value, at);
}

export interface NetlinkRequest {
  type: number;
  /** The fixed struct that requests of this type begin with, and attributes. */
  body: Buffer;
}

export interface NetlinkMessage {
  type: number;
  /** The fixed struct that the message begins with. */
  header: Buffer;
  attributes: Attributes;
}

const HEADER = 16;
const F_REQUEST = 1;
const F_ACK = 4;
const F_DUMP = 0x300;
const ERROR = 2;
const DONE = 3;
/** As large as what the kernel makes of a dump at once. */
const ROOM = 65_536;
/** Requests of one datagram: their errors must all fit into the socket's buffer. */
const AT_ONCE = 128;

/** A socket to one of the kernel's netlink families, in the network namespace of the thread that makes it; one dump at a time. */
export class NetlinkSocket implements Disposable {
  readonly #fd: number;
  readonly #room = Buffer.allocUnsafe(ROOM);
  #sequence = 0;

  /** @param protocol as of linux/netlink.h: 0 for rtnetlink, 12 for netfilter */
  constructor(protocol: number) {
    this.#fd = check(addon.netlinkOpen(protocol), "open netlink socket of", `protocol ${protocol}`);
  }

  [Symbol.dispose](): void {
    addon.closeFd(this.#fd);
  }

  /**
   * Asks for everything that the request describes. The messages are good until the next is taken.
   * @param headerSize bytes of the fixed struct that each answer begins with
   * @throws BpfError
   */
  *dump({ type, body }: NetlinkRequest, headerSize: number): Generator<NetlinkMessage> {
    this.#send([{ type, body }], F_DUMP, F_DUMP);
    for (;;)
      for (const message of this.#receive()) {
        if (message.type === DONE) return;
        if (message.type === ERROR)
          throw new BpfError({ operation: "netlink dump", objectName: `${type}`, errno: message.error });
        const { type: answer, body: bytes } = message;
        const attributes = new Attributes(bytes.subarray(headerSize));
        yield { type: answer, header: bytes.subarray(0, headerSize), attributes };
      }
  }

  /**
   * Does what the requests say, in order; one that fails stops none.
   * @returns how many failed with each errno
   * @throws BpfError when there is no answer
   */
  carryOut(type: number, bodies: Iterable<Buffer>): Map<number, number> {
    const failed = new Map<number, number>();
    let requests: NetlinkRequest[] = [];
    for (const body of bodies) {
      requests.push({ type, body });
      if (requests.length < AT_ONCE) continue;
      this.#exchange(requests, failed);
      requests = [];
    }
    if (requests.length > 0) this.#exchange(requests, failed);
    return failed;
  }

  /** Only the last answers in any case, the others if they fail. */
  #exchange(requests: readonly NetlinkRequest[], failed: Map<number, number>): void {
    const last = this.#send(requests, 0, F_ACK);
    for (;;)
      for (const { type, sequence, error } of this.#receive()) {
        if (type !== ERROR) continue;
        if (error !== 0) failed.set(-error, (failed.get(-error) ?? 0) + 1);
        if (sequence === last) return;
      }
  }

  /** @returns the last one's sequence number */
  #send(requests: readonly NetlinkRequest[], flags: number, lastFlags: number): number {
    const messages = requests.map(({ type, body }, at) => {
      const message = Buffer.alloc(HEADER + ((body.length + 3) & ~3));
      this.#sequence = (this.#sequence + 1) >>> 0;
      putU32(message, HEADER + body.length, 0);
      putU16(message, type, 4);
      putU16(message, F_REQUEST | (at === requests.length - 1 ? lastFlags : flags), 6);
      putU32(message, this.#sequence, 8);
      body.copy(message, HEADER);
      return message;
    });
    check(addon.netlinkSend(this.#fd, Buffer.concat(messages)), "send by netlink");
    return this.#sequence;
  }

  /** The messages of one datagram; `error` is 0 or -errno of those that say how a request ended. */
  *#receive(): Generator<{ type: number; sequence: number; error: number; body: Buffer }> {
    const length = check(addon.netlinkReceive(this.#fd, this.#room), "receive by netlink");
    if (length > ROOM) throw new Error(`netlink: a datagram of ${length} bytes`);
    for (let at = 0; at + HEADER <= length; ) {
      const size = u32(this.#room, at);
      if (size < HEADER) return;
      const type = u16(this.#room, at + 4);
      const body = this.#room.subarray(at + HEADER, Math.min(length, at + size));
      yield { type, sequence: u32(this.#room, at + 8), error: type === ERROR ? u32(body, 0) | 0 : 0, body };
      at += (size + 3) & ~3;
    }
  }
}

const ROUTE = 0;

/** Asks rtnetlink for a dump. The request is the fixed struct; each answer begins with one of the same size. */
export function* dump(type: number, body: Buffer): Generator<NetlinkMessage> {
  using socket = new NetlinkSocket(ROUTE);
  yield* socket.dump({ type, body }, body.length);
}
