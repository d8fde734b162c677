/** Which CPUs take a NIC's interrupts, as /sys and /proc tell. */

import { readdirSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";

export interface Interrupt {
  readonly irq: number;
  /** As /proc has them: `0-3,8`. */
  readonly cpus: string;
}

/** What says that the device that /sys knows by the name is the one meant: /sys may be another network namespace's. */
export interface KnownDevice {
  readonly name: string;
  readonly ifindex: number;
  readonly mac?: string | undefined;
}

/** Those that have come at all, of a NIC that has its own; none of one that is made of software. */
export function readInterrupts({ name, ifindex, mac }: KnownDevice): Interrupt[] {
  const folder = join("/sys/class/net", name);
  if (readText(join(folder, "ifindex")) !== String(ifindex) || readText(join(folder, "address")) !== mac) return [];
  const numbers = messageInterrupts(folder);
  if (numbers.length === 0) return [];
  const used = usedInterrupts(readText("/proc/interrupts") ?? "");
  return numbers.flatMap((irq) => {
    const cpus = used.has(irq) ? readText(`/proc/irq/${irq}/effective_affinity_list`) : undefined;
    return cpus ? [{ irq, cpus }] : [];
  });
}

/** Of the PCI device, which is behind a virtual one's own folder. */
function messageInterrupts(folder: string): number[] {
  try {
    const device = realpathSync(join(folder, "device"));
    for (const owner of [device, join(device, "..")]) {
      const names = namesIn(join(owner, "msi_irqs"));
      if (names.length > 0) return names.map(Number);
    }
  } catch {
    // a device of software has none
  }
  return [];
}

/** @param text of /proc/interrupts: a number, a count for each CPU, and names */
export function usedInterrupts(text: string): Set<number> {
  const [head = "", ...lines] = text.split("\n");
  const cpus = head.trim().split(/\s+/).length;
  const used = new Set<number>();
  for (const line of lines) {
    const [label = "", ...words] = line.trim().split(/\s+/);
    if (/^\d+:$/.test(label) && words.slice(0, cpus).some((count) => Number(count) > 0))
      used.add(Number.parseInt(label, 10));
  }
  return used;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}
