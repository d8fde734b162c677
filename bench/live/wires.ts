/**
 * A gateway's namespace and that of the wires' far ends. A lane is two wires: what is sent into the far end of the first
 * arrives at the gateway's first device; what leaves by the gateway's second arrives at a sink.
 */
import { execFileSync } from "node:child_process";
import { inNetNamespace, interfaceIndex } from "libbpf-ts";
import { macs } from "../frame.js";
import type { Port } from "./injector.js";

const run = (command: string, ...args: string[]) =>
  execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

/** A network namespace, removed with all that is in it. */
export class Place {
  readonly path: string;

  constructor(readonly name: string) {
    this.path = `/run/netns/${name}`;
    run("ip", "netns", "add", name);
    for (const which of ["all", "default"]) this.sysctl(`net.ipv6.conf.${which}.disable_ipv6=1`);
    this.ip("link set lo up");
  }

  /** Lines of `ip` commands. */
  ip(...lines: string[]): void {
    for (const line of lines) run("ip", "-n", this.name, ...line.split(" "));
  }

  run(...command: string[]): string {
    return run("nsenter", `--net=${this.path}`, "--", ...command);
  }

  sysctl(...settings: string[]): void {
    this.run("sysctl", "-qw", ...settings);
  }

  /** Synchronous work with this thread in the namespace. */
  within<T>(work: () => T): T {
    return inNetNamespace(this.path, work as () => never);
  }

  ifindex(device: string): number {
    return this.within(() => interfaceIndex(device));
  }

  remove(): void {
    run("ip", "netns", "del", this.name);
  }
}

export interface Lane {
  readonly farIn: Port;
  readonly in: Port;
  readonly out: Port;
  readonly farOut: Port;
}

export const mac = (digits: string) => digits.match(/../g)?.join(":") ?? "";

/** The devices are called NAME-in and NAME-out, at the far end NAME-fin and NAME-fout. */
export function addLane(gateway: Place, far: Place, name: string): Lane {
  for (const side of ["in", "out"]) {
    gateway.ip(
      `link add ${name}-${side} address ${mac(macs.gateway)} type veth peer name ${name}-f${side} netns ${far.name}`,
      `link set ${name}-${side} up`,
    );
    far.ip(`link set ${name}-f${side} up`);
  }
  const port = (place: Place, device: string): Port => ({ place, ifindex: place.ifindex(`${name}-${device}`) });
  return {
    farIn: port(far, "fin"),
    in: port(gateway, "in"),
    out: port(gateway, "out"),
    farOut: port(far, "fout"),
  };
}
