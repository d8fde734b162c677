/** A network namespace in which the kernel sends to all tunnel endpoints as the templates do: by one router. */
import { execFileSync } from "node:child_process";
import { inNetNamespace } from "libbpf-ts";
import { endpoints, macs } from "./frame.js";

const run = (command: string, ...args: string[]) => execFileSync(command, args, { stdio: ["ignore", "pipe", "pipe"] });
const mac = (digits: string) => digits.match(/../g)?.join(":") ?? "";

export interface Roads {
  /** Runs synchronous work in the namespace. */
  within<T>(work: () => T): T;
  close(): void;
}

export function openRoads(): Roads {
  const name = `xgw-bench-ways-${process.pid}`;
  const ip = (...args: string[]) => run("ip", "-n", name, ...args);
  run("ip", "netns", "add", name);
  const close = () => void run("ip", "netns", "del", name);
  try {
    ip("link", "add", "under0", "address", mac(macs.gateway), "type", "veth", "peer", "name", "far0");
    for (const device of ["lo", "under0", "far0"]) ip("link", "set", device, "up");
    ip("address", "add", `${endpoints.gateway}/32`, "dev", "under0");
    ip("address", "add", "192.168.1.1/24", "dev", "under0");
    ip("neighbour", "add", "192.168.1.2", "lladdr", mac(macs.to), "dev", "under0", "nud", "permanent");
    ip("route", "add", "default", "via", "192.168.1.2");
    run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.ip_forward=1");
  } catch (error) {
    close();
    throw error;
  }
  return { within: (work) => inNetNamespace(`/run/netns/${name}`, work as () => never), close };
}
