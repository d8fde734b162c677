/**
 * /proc/sys, as seen from the network namespace that xgw was started in. Read and written synchronously: the kernel answers
 * at once, and a detour through other threads for each of three settings a tenant takes ten times as long.
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { KernelError } from "../errors.js";

/** Device names may have dots, so the dots that separate are the ones around the device. */
function pathOf(name: string): string {
  const [, prefix, device, key] = /^(net\.ipv4\.conf)\.(.+)\.([a-z_]+)$/.exec(name) ?? [];
  const parts = prefix && device && key ? [...prefix.split("."), device, key] : name.split(".");
  return `/proc/sys/${parts.join("/")}`;
}

/** The value, or undefined when there is no such setting (yet). */
export function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(pathOf(name), "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** @throws KernelError when there is no such setting */
export function writeSysctl(name: string, value: string): void {
  try {
    writeFileSync(pathOf(name), value);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    throw new KernelError(`there is no setting ${name}`, { cause, remedy: "load the module that has it" });
  }
}

/** Whether the kernel has IPv6 here, in use or not. */
export const hasIpv6 = (): boolean => existsSync("/proc/sys/net/ipv6");
