/** Netlink's multicast groups: what the kernel tells without being asked. */
import { addon } from "./addon.js";
import { EAGAIN } from "./errno.js";
import { check } from "./error.js";
import { messagesOf } from "./netlink-message.js";

/** Something has happened. */
export interface NetlinkNotification {
  /** As of the family, such as RTM_NEWLINK. */
  type: number;
  /** A fixed struct and attributes; good until the call that is told of it returns. */
  body: Buffer;
}

export interface NetlinkListenerOptions {
  /** As of linux/netlink.h: 0 for rtnetlink, 12 for netfilter. */
  protocol: number;
  /** Numbers of the multicast groups, such as RTNLGRP_LINK. */
  groups: readonly number[];
  /** Bytes of notifications that the kernel keeps while nobody listens; 8 MiB if not given. */
  bufferSize?: number;
  /**
   * A classic BPF program, `struct sock_filter` after another in host byte order (linux/filter.h), that the kernel runs over
   * each datagram, from its `struct nlmsghdr` on; what it answers 0 for takes no room and is not told. All is told if not
   * given.
   */
  filter?: Uint8Array;
  onMessage: (notification: NetlinkNotification) => void;
  /**
   * More has happened than the buffer could take, or the kernel could not tell it: some of it is not told. Comes when what
   * is told has come to its end, for until then the kernel goes on dropping.
   */
  onLost: () => void;
}

/** As large as what the kernel tells at once; for all listeners of the thread, whose turns do not overlap. */
const room = Buffer.allocUnsafe(65_536);
/** Datagrams read before other events have their turn. */
const AT_ONCE = 64;

/**
 * Hears what the kernel tells to multicast groups, in the network namespace of the thread that makes it, until it is closed.
 * Nothing is polled: a thread sleeps until there is something. Keeps the event loop alive.
 */
export class NetlinkListener implements Disposable {
  readonly #options: NetlinkListenerOptions;
  #handle: number;
  #hasLost = false;

  /** @throws BpfError, such as EPROTONOSUPPORT or EINVAL: there is no such protocol or group */
  constructor(options: NetlinkListenerOptions) {
    this.#options = options;
    const { protocol, groups, bufferSize = 8 * 2 ** 20, filter = new Uint8Array() } = options;
    const handle = addon.netlinkListen(protocol, groups, bufferSize, filter, () => this.#woken());
    this.#handle = check(handle, "listen to netlink", `protocol ${protocol}, groups ${groups.join(", ")}`);
    this.#wait();
  }

  /** Nothing is told any more. Does nothing the second time. */
  close(): void {
    if (this.#handle === 0) return;
    addon.readerClose(this.#handle);
    this.#handle = 0;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #wait(): void {
    if (this.#handle !== 0) check(addon.readerArm(this.#handle), "wait for netlink");
  }

  #woken(): void {
    if (this.#handle === 0) return;
    addon.readerRest(this.#handle);
    passOn(() => {
      for (let datagrams = 0; datagrams < AT_ONCE && this.#hear(); datagrams++);
    });
    passOn(() => this.#wait());
  }

  /** @returns whether there was something; who is told may close this */
  #hear(): boolean {
    if (this.#handle === 0) return false;
    const length = addon.netlinkHear(this.#handle, room);
    if (length === -EAGAIN) {
      const hasLost = this.#hasLost;
      this.#hasLost = false;
      if (hasLost) this.#options.onLost();
      return false;
    }
    if (length < 0 || length > room.length)
      this.#hasLost = true; // such as ENOBUFS, once
    else
      for (const { type, body } of messagesOf(room.subarray(0, length)))
        if (this.#handle !== 0) this.#options.onMessage({ type, body });
    return true;
  }
}

/** Node swallows what the callback of a thread-safe function throws (DEP0168). */
function passOn(act: () => void): void {
  try {
    act();
  } catch (error) {
    setImmediate(() => {
      throw error;
    });
  }
}
