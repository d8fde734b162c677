/** BTF that is loaded in the kernel: by id, and by what uses it. */

import { addon } from "../addon.js";
import { cText } from "../c-text.js";
import { fdById, fds } from "../ids.js";
import { InfoView, readInfo } from "../info.js";
import { Btf } from "./btf.js";

export interface BtfInfo {
  id: number;
  /** Bytes. */
  size: number;
  /** Of the kernel ("vmlinux") or of a module, by name; empty for what programs brought. */
  name: string;
  /** Whether it is the kernel's or a module's. */
  kernel: boolean;
}

/** @internal */
export function readBtfInfo(fd: number, label: string): BtfInfo {
  const name = Buffer.alloc(128);
  const view = new InfoView();
  view.setU32(24, name.length);
  const v = readInfo(fd, label, view, [[16, name]]);
  return {
    size: v.u32(8),
    id: v.u32(12),
    name: cText(name),
    kernel: v.u32(28) !== 0,
  };
}

/** The BTF with an id. @throws BpfError ENOENT */
export function btfById(id: number): Btf {
  const label = `BTF ${id}`;
  const fd = fdById("btf", id);
  try {
    const info = readBtfInfo(fd, label);
    if (info.kernel) return info.name === "vmlinux" ? Btf.vmlinux() : Btf.module(info.name);
    const raw = Buffer.alloc(info.size);
    const view = new InfoView();
    view.setU32(8, raw.length);
    readInfo(fd, label, view, [[0, raw]]);
    return Btf.parse(raw);
  } finally {
    addon.closeFd(fd);
  }
}

/** All BTF in the kernel. */
export function* listBtf(): Generator<BtfInfo> {
  for (const { id, fd } of fds("btf")) {
    let info: BtfInfo;
    try {
      info = readBtfInfo(fd, `BTF ${id}`);
    } finally {
      addon.closeFd(fd);
    }
    yield info;
  }
}
