/** The network namespace that this process acts on. */

import { statSync } from "node:fs";

/** Inode number of its file in /proc, which is the kernel's own number for it as long as it lives. */
export const namespaceInode = (): number => statSync("/proc/thread-self/ns/net").ino;
