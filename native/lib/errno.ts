/** Names and texts of error numbers: the system's, the kernel's own (above 511) and libbpf's (from 4000). */
import { constants } from "node:os";
import { addon } from "./addon.js";

const extra: Record<number, string> = {
  512: "ERESTARTSYS",
  524: "ENOTSUPP",
  4000: "LIBBPF_LIBELF",
  4001: "LIBBPF_FORMAT",
  4002: "LIBBPF_KVERSION",
  4003: "LIBBPF_ENDIAN",
  4004: "LIBBPF_INTERNAL",
  4005: "LIBBPF_RELOC",
  4006: "LIBBPF_LOAD",
  4007: "LIBBPF_VERIFY",
  4008: "LIBBPF_PROG2BIG",
  4009: "LIBBPF_KVER",
  4010: "LIBBPF_PROGTYPE",
  4011: "LIBBPF_WRNGPID",
  4012: "LIBBPF_INVSEQ",
  4013: "LIBBPF_NLPARSE",
};

/** Two names for one number: the first of each pair is the one in use. */
const preferred = new Map<number, string>([
  [constants.errno.EAGAIN, "EAGAIN"],
  [constants.errno.EOPNOTSUPP, "EOPNOTSUPP"],
]);

/** The name of a (positive) error number, such as "EPERM"; "E1234" when it has none. */
export function errnoName(errno: number): string {
  const known = preferred.get(errno) ?? extra[errno];
  if (known !== undefined) return known;
  for (const [name, value] of Object.entries(constants.errno)) if (value === errno) return name;
  return `E${errno}`;
}

/** What a (positive) error number means, in words. */
export function errnoText(errno: number): string {
  return errno === 524 ? "Operation is not supported" : addon.errorText(errno);
}

export const { EACCES, EAGAIN, EBADF, EBUSY, EEXIST, EINTR, EINVAL, ENOENT, ENOSPC, EOPNOTSUPP, EPERM } =
  constants.errno;
/** The kernel's "not supported", which user space has no name for. */
export const ENOTSUPP = 524;
