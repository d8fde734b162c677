/** Who is at the other end of a Unix socket. */
import { addon } from "./addon.js";
import { BpfError } from "./error.js";

/** As the peer was when it connected, or began to listen; in the caller's process and user namespaces. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * The process at the other end of a connected Unix socket, as the kernel knows it (SO_PEERCRED).
 * @param fd the socket's descriptor
 * @throws BpfError EBADF, ENOTSOCK
 */
export function peerCredentials(fd: number): PeerCredentials {
  const told = addon.peerCredentials(fd);
  if (typeof told === "number")
    throw new BpfError({ operation: "ask for the peer of", objectName: `descriptor ${fd}`, errno: told });
  const [pid, uid, gid] = told;
  return { pid, uid, gid };
}
