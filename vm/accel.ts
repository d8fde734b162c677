import { constants } from "node:fs";
import { access, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { hostArch } from "./arch.js";
import { cacheDir } from "./root.js";

const kvm = ["-accel", "kvm", "-cpu", "host"];
const emulated = () => ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", hostArch().emulatedCpu];

/**
 * QEMU's arguments for the fastest way to run a guest here. /dev/kvm can be there and yet boot no guest, so `boots`
 * is asked to boot one with it, once per boot of this machine. XGW_VM_ACCEL=kvm or =tcg decides without asking.
 */
export async function accelArgs(boots: (args: readonly string[]) => Promise<boolean>): Promise<readonly string[]> {
  const forced = process.env.XGW_VM_ACCEL;
  if (forced === "kvm") return kvm;
  if (forced === "tcg") return emulated();
  try {
    await access("/dev/kvm", constants.R_OK | constants.W_OK);
  } catch {
    return emulated();
  }
  return (await kvmBoots(boots)) ? kvm : emulated();
}

/** @param args as accelArgs gave them */
export const isEmulated = (args: readonly string[]): boolean => args !== kvm;

async function kvmBoots(boots: (args: readonly string[]) => Promise<boolean>): Promise<boolean> {
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const path = join(cacheDir(), "kvm.json");
  const known = await readFile(path, "utf8").then(
    (text) => JSON.parse(text) as { bootId: string; works: boolean },
    () => undefined,
  );
  if (known?.bootId === bootId) return known.works;
  const works = await boots(kvm);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify({ bootId, works })}\n`);
  return works;
}
