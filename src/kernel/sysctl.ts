/**
 * /proc/sys, as seen from the network namespace that xgw was started in. Read and written synchronously: the kernel answers
 * at once, and a detour through other threads for each of three settings a tenant takes ten times as long.
 */

import { accessSync, constants, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { KernelError } from "../errors.js";
import { isMinimum, suffices } from "../plan/sysctls.js";

/** Of a device, whose name may have dots: those that separate are the ones around it. */
const deviceSetting = /^(net\.ipv4\.conf)\.(.+)\.([a-z_]+)$/;

function pathOf(name: string): string {
  const [, prefix, device, key] = deviceSetting.exec(name) ?? [];
  const parts = prefix && device && key ? [...prefix.split("."), device, key] : name.split(".");
  return `/proc/sys/${parts.join("/")}`;
}

/** Whether there is such a setting (by now). Of thousands that there are not it is told in a tenth of the time of reading them. */
export const hasSysctl = (name: string): boolean => statSync(pathOf(name), { throwIfNoEntry: false }) !== undefined;

/** The value, or undefined when there is no such setting (yet). */
export function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(pathOf(name), "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Whether the setting can be written from here. Of some that the whole machine has, another network namespace than the first
 * has no file, or one that can only be read.
 */
export function isSettable(name: string): boolean {
  try {
    accessSync(pathOf(name), constants.W_OK);
    return true;
  } catch (error) {
    // A module that is not loaded yet brings its settings along.
    return (error as NodeJS.ErrnoException).code === "ENOENT" && name.startsWith("net.netfilter.");
  }
}

/**
 * One of which more is right, too, is raised, never lowered.
 *
 * @throws KernelError when there is no such setting
 */
export function writeSysctl(name: string, value: string): void {
  if (isMinimum(name) && suffices(name, readSysctl(name) ?? "", value)) return;
  try {
    writeFileSync(pathOf(name), value);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    throw missing(name, cause);
  }
}

function missing(name: string, cause: unknown): KernelError {
  const device = deviceSetting.exec(name)?.[2];
  if (device === undefined)
    return new KernelError(`there is no setting ${name}`, { cause, remedy: "load the module that has it" });
  return new KernelError(`there is no setting ${name}: the device ${device} has gone`, {
    cause,
    remedy: "see what removes or renames it; `xgw apply` makes it again, if it is one of xgw's",
    details: { device },
  });
}

/** Whether the kernel has IPv6 here, in use or not. */
export const hasIpv6 = (): boolean => existsSync("/proc/sys/net/ipv6");
