import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, rename, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { CpioArchive } from "./cpio.js";
import type { Kernel } from "./kernels.js";
import { moduleFiles } from "./modules.js";
import { repoRoot } from "./root.js";

/** What the guest needs before it can see the host's files. */
const bootModules = ["9p", "9pnet_virtio", "overlay"];

/** Builds the initramfs for a kernel, or finds the one built before from the same parts. Returns its path. */
export async function ensureInitramfs(kernel: Kernel): Promise<string> {
  const busybox = await readBusybox();
  const guest = join(repoRoot, "vm", "guest");
  const init = await readFile(join(guest, "init.sh"));
  const run = await readFile(join(guest, "run.sh"));
  const key = createHash("sha256").update(busybox).update(init).update(run).update(kernel.release).digest("hex");
  const path = join(kernel.dir, `initramfs-${key.slice(0, 16)}.cpio`);
  if (existsSync(path)) return path;

  const archive = new CpioArchive();
  for (const dir of ["bin", "dev", "proc", "sys", "modules", "host", "scratch", "root"]) archive.directory(dir);
  archive.device("dev/console", 5, 1);
  archive.file("bin/busybox", busybox, 0o755);
  archive.file("bin/sh", busybox, 0o755);
  archive.file("init", init, 0o755);
  archive.file("run.sh", run, 0o755);
  const modules = await moduleFiles(kernel.modules, bootModules);
  for (const file of modules) archive.file(`modules/${basename(file)}`, await readFile(file), 0o644);
  archive.file("modules/order", Buffer.from(`${modules.map((file) => basename(file)).join("\n")}\n`), 0o644);
  const partial = `${path}.${process.pid}`;
  await writeFile(partial, archive.end());
  await rename(partial, path);
  return path;
}

async function readBusybox(): Promise<Buffer> {
  for (const path of ["/usr/bin/busybox", "/bin/busybox"]) if (existsSync(path)) return readFile(path);
  throw new Error("no busybox: apt-get install busybox-static");
}
