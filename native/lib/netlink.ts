/** Netlink: asks the kernel for what bpf(2) does not tell. Numbers of its own are in host byte order. */
import { addon } from "./addon.js";
import { EINTR } from "./errno.js";
import { BpfError, check } from "./error.js";
import { Attributes, HEADER, hostU32, messagesOf, putU16, putU32, type RawMessage } from "./netlink-message.js";

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

export interface NetlinkSocketOptions {
  /**
   * Requests for dumps are taken at their word, and those with anything that the kernel does not know are refused
   * (NETLINK_GET_STRICT_CHK). Without it rtnetlink passes over most filters.
   */
  isStrict?: boolean;
}

const F_REQUEST = 1;
const F_ACK = 4;
const F_DUMP = 0x300;
/** Something has changed while the kernel told of everything. */
const F_DUMP_INTR = 0x10;
const ERROR = 2;
const DONE = 3;
/** As large as what the kernel makes of a dump at once. */
const ROOM = 65_536;
/** Requests of one datagram: their errors must all fit into the socket's buffer. */
const AT_ONCE = 128;
/** How often everything is asked for. */
const ATTEMPTS = 20;

/** A socket to one of the kernel's netlink families, in the network namespace of the thread that makes it; one dump at a time. */
export class NetlinkSocket implements Disposable {
  readonly #fd: number;
  readonly #protocol: number;
  readonly #room = Buffer.allocUnsafe(ROOM);
  #sequence = 0;

  /** @param protocol as of linux/netlink.h: 0 for rtnetlink, 12 for netfilter */
  constructor(protocol: number, { isStrict = false }: NetlinkSocketOptions = {}) {
    this.#protocol = protocol;
    this.#fd = check(addon.netlinkOpen(protocol, isStrict), "open netlink socket of", `protocol ${protocol}`);
  }

  [Symbol.dispose](): void {
    addon.closeFd(this.#fd);
  }

  /**
   * Asks for everything that the request describes. The messages are good until the next is taken. What changes meanwhile
   * may be missing: see `collect`.
   * @param headerSize bytes of the fixed struct that each answer begins with
   * @throws BpfError
   */
  *dump(request: NetlinkRequest, headerSize: number): Generator<NetlinkMessage> {
    yield* this.#dump(request, headerSize);
  }

  /**
   * The same as of one moment, where the kernel tells that something has changed meanwhile: asks again then, a few times.
   * @param toItem what to keep of a message, which is good until it returns; undefined: nothing
   * @throws BpfError EINTR when it did not come to an end
   */
  collect<T>(
    request: NetlinkRequest,
    headerSize: number,
    toItem: (header: Buffer, attributes: Attributes) => T | undefined,
  ): T[] {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const items: T[] = [];
      const messages = this.#dump(request, headerSize);
      let next = messages.next();
      for (; !next.done; next = messages.next()) {
        const item = toItem(next.value.header, next.value.attributes);
        if (item !== undefined) items.push(item);
      }
      if (next.value.isWhole) return items;
    }
    throw this.#error("netlink dump", request.type, -EINTR);
  }

  /**
   * Asks for one thing. The message is good until the next is taken.
   * @param headerSize bytes of the fixed struct that the answer begins with
   * @throws BpfError, such as ENODEV or ENOENT when there is no such thing
   */
  get({ type, body }: NetlinkRequest, headerSize: number): NetlinkMessage {
    const asked = this.#send([{ type, body }], 0, 0);
    for (;;)
      for (const message of this.#receive())
        if (message.sequence === asked) {
          if (message.type === ERROR) throw this.#error("netlink get", type, message.error);
          return toMessage(message, headerSize);
        }
  }

  *#dump({ type, body }: NetlinkRequest, headerSize: number): Generator<NetlinkMessage, { isWhole: boolean }> {
    this.#send([{ type, body }], F_DUMP, F_DUMP);
    let isWhole = true;
    for (;;)
      for (const message of this.#receive()) {
        if (message.flags & F_DUMP_INTR) isWhole = false;
        if (message.type === DONE && message.error >= 0) return { isWhole };
        if (message.type === DONE || message.type === ERROR) throw this.#error("netlink dump", type, message.error);
        yield toMessage(message, headerSize);
      }
  }

  #error(operation: string, type: number, errno: number): BpfError {
    return new BpfError({ operation, objectName: `${type} of protocol ${this.#protocol}`, errno });
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

  /** The messages of one datagram; `error` is -errno of those that say that a request or a dump has failed. */
  *#receive(): Generator<RawMessage & { error: number }> {
    const length = check(addon.netlinkReceive(this.#fd, this.#room), "receive by netlink");
    if (length > ROOM) throw new Error(`netlink: a datagram of ${length} bytes`);
    for (const message of messagesOf(this.#room.subarray(0, length)))
      yield { ...message, error: endsSomething(message) ? hostU32(message.body, 0) | 0 : 0 };
  }
}

function toMessage({ type, body }: RawMessage, headerSize: number): NetlinkMessage {
  return { type, header: body.subarray(0, headerSize), attributes: new Attributes(body.subarray(headerSize)) };
}

const endsSomething = ({ type, body }: RawMessage) => (type === ERROR || type === DONE) && body.length >= 4;

const ROUTE = 0;

/** Asks rtnetlink for a dump. The request is the fixed struct; each answer begins with one of the same size. */
export function* dump(type: number, body: Buffer): Generator<NetlinkMessage> {
  using socket = new NetlinkSocket(ROUTE);
  yield* socket.dump({ type, body }, body.length);
}
