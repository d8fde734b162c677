/** Does something in another network namespace. */
import { addon } from "./addon.js";
import { check } from "./error.js";

/**
 * Calls a function with this thread in the network namespace of a file (such as /run/netns/NAME or /proc/PID/ns/net), and
 * comes back. The function must be synchronous: a promise goes on in the old namespace. Needs CAP_SYS_ADMIN.
 */
export function inNetNamespace<T>(path: string, work: () => T extends PromiseLike<unknown> ? never : T): T {
  const before = check(addon.enterNetNamespace(path), "enter network namespace", path);
  try {
    return work();
  } finally {
    check(addon.leaveNetNamespace(before), "leave network namespace", path);
  }
}

/** An interface's index by its name, in the thread's network namespace. @throws BpfError ENODEV */
export function interfaceIndex(name: string): number {
  return check(addon.interfaceIndex(name), "find interface", name);
}

/** An interface's name by its index, in the thread's network namespace; undefined when there is none. */
export function interfaceName(ifindex: number): string | undefined {
  return addon.interfaceName(ifindex);
}
