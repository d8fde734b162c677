/**
 * Which notifications about neighbours the kernel need not even tell: those of other families, and those of neighbours that
 * it finds not to answer. Whoever sends to many absent hosts causes one each. What a process on the machine has set is told,
 * whatever the state: by that a permanent neighbour is lost.
 */

import { endianness } from "node:os";

/** As of linux/rtnetlink.h. */
const RTM_NEWNEIGH = 28;
const RTM_DELNEIGH = 29;
const AF_INET = 2;
/** NUD_REACHABLE, _STALE, _DELAY, _PROBE, _NOARP and _PERMANENT of linux/neighbour.h: there is a link-layer address. */
const NUD_VALID = 0xde;

/** Where it is in the datagram: of `struct nlmsghdr` and of `struct ndmsg` behind it. */
const at = { type: 4, sender: 12, family: 16, state: 24 };
/** In place of the port of a process. */
const kernelItself = 0;

/** Classic BPF loads in network byte order; netlink is in the host's. */
const swapped = (value: number) => (endianness() === "LE" ? ((value & 0xff) << 8) | (value >> 8) : value);

/** Codes of linux/bpf_common.h. */
const loadWord = 0x20;
const loadHalf = 0x28;
const loadByte = 0x30;
const jumpIfEqual = 0x15;
const jumpIfSet = 0x45;
const answer = 0x06;

type Instruction = readonly [code: number, then: number, otherwise: number, operand: number];

/** The jumps are numbers of instructions to skip. */
const instructions: readonly Instruction[] = [
  [loadHalf, 0, 0, at.type],
  [jumpIfEqual, 1, 0, swapped(RTM_NEWNEIGH)],
  [jumpIfEqual, 4, 7, swapped(RTM_DELNEIGH)],
  [loadHalf, 0, 0, at.state],
  [jumpIfSet, 2, 0, swapped(NUD_VALID)],
  [loadWord, 0, 0, at.sender],
  [jumpIfEqual, 2, 0, kernelItself],
  [loadByte, 0, 0, at.family],
  [jumpIfEqual, 1, 0, AF_INET],
  [answer, 0, 0, 0],
  [answer, 0, 0, 0xffff_ffff],
];

/** `struct sock_filter` each, in host byte order: for a listener of rtnetlink. */
export function neighbourFilter(): Uint8Array {
  const bytes = new ArrayBuffer(8 * instructions.length);
  instructions.forEach(([code, then, otherwise, operand], index) => {
    new Uint16Array(bytes, 8 * index, 1)[0] = code;
    new Uint8Array(bytes, 8 * index + 2, 2).set([then, otherwise]);
    new Uint32Array(bytes, 8 * index + 4, 1)[0] = operand;
  });
  return new Uint8Array(bytes);
}
