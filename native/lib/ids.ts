/** Walks the kernel's ids and opens things by id, for all four kinds alike. */
import { type AddonIdKind, addon } from "./addon.js";
import { ENOENT } from "./errno.js";
import { BpfError, check } from "./error.js";

/** The ids that exist, ascending. Things may come and go meanwhile. Needs CAP_SYS_ADMIN (or CAP_BPF, by kernel). */
export function* ids(kind: AddonIdKind): Generator<number> {
  for (let id = 0; ; ) {
    id = check(addon.nextId(kind, id), `list ${kind} ids`);
    if (id === 0) return;
    yield id;
  }
}

/** A descriptor for an id. */
export function fdById(kind: AddonIdKind, id: number): number {
  return check(addon.openById(kind, id), `open ${kind} by id`, String(id));
}

/** A descriptor for every id that still exists when its turn comes; the caller closes each. */
export function* fds(kind: AddonIdKind): Generator<{ id: number; fd: number }> {
  for (const id of ids(kind)) {
    const fd = addon.openById(kind, id);
    if (fd === -ENOENT) continue;
    yield { id, fd: check(fd, `open ${kind} by id`, String(id)) };
  }
}

/** The one descriptor whose name fits; none, or several, is an error. */
export function fdByName(kind: AddonIdKind, name: string, nameOf: (fd: number) => string): number {
  let found = -1;
  for (const { fd } of fds(kind)) {
    if (nameOf(fd) !== name) {
      addon.closeFd(fd);
      continue;
    }
    if (found >= 0) {
      addon.closeFd(found);
      addon.closeFd(fd);
      throw new BpfError({
        operation: `open ${kind} by name`,
        objectName: name,
        errno: ENOENT,
        reason: "several have this name; open by id or pin",
      });
    }
    found = fd;
  }
  if (found < 0) throw new BpfError({ operation: `open ${kind} by name`, objectName: name, errno: ENOENT });
  return found;
}
