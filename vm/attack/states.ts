/** The states that the gateway may be in when it is attacked. None of them may make a difference to who reaches whom. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { BpfLink } from "libbpf-ts";
import { Pins } from "../../src/datapath/pins.js";
import { built } from "../root.js";
import { instance } from "./site.js";

export const states = [
  { name: "native", what: "XDP in the driver, no daemon" },
  { name: "generic", what: "XDP in the stack" },
  { name: "detached", what: "the XDP programs are taken off their NICs" },
  { name: "wiped", what: "all of the instance's pins are removed, and with them its programs" },
  { name: "daemon", what: "xgw run keeps watch" },
  { name: "change", what: "the config is changed to another one and back while packets go" },
  {
    name: "killed",
    what: "xgw run is killed while it makes the config another one, and nobody ends what it has begun",
  },
  { name: "learner", what: "the programs on the NICs' egress are taken off" },
  { name: "uplink", what: "the program on the uplink's ingress is taken off" },
  { name: "counters", what: "the programs that count for shares, and refuse by them, are taken off" },
] as const;

export type StateName = (typeof states)[number]["name"];

export const isState = (name: string): name is StateName => states.some((state) => state.name === name);

/** Seeds in a row go through all of them. */
export const stateOf = (seed: number): StateName => states[seed % states.length]?.name ?? "native";

/** Whether both of a site's configs may be in force. */
export const isBetween = (state: StateName): boolean => state === "change" || state === "killed";

/** Whether what comes from the uplink is handed to tenants. */
export const handsOver = (state: StateName): boolean => state !== "wiped" && state !== "uplink";

/** How the links are called that a state has not got. */
const missing: Readonly<Partial<Record<StateName, readonly string[]>>> = {
  detached: ["xdp_"],
  learner: ["learn_"],
  uplink: ["uplink_"],
  counters: ["session_", "neighbour_", "quota_", "next_hop", "arp_", "enter_"],
};

/** What an operator, an accident or an attacker does to the programs. */
export async function takeOff(state: StateName): Promise<void> {
  const pins = new Pins(instance);
  if (state === "wiped") await rm(pins.root, { recursive: true });
  for (const name of missing[state] ? pins.links() : []) {
    if (!missing[state]?.some((prefix) => name.startsWith(prefix))) continue;
    using link = BpfLink.openPinned(pins.link(name));
    // Those on functions and tracepoints of the kernel know no detaching; they go with their pins.
    if (link.info.type === "xdp" || link.info.type === "tcx") link.detach();
    else await rm(pins.link(name));
  }
}

/** The daemon, as the service manager starts it. */
export class Daemon {
  private log = "";

  private constructor(private readonly process: ChildProcess) {}

  static async start(configFile: string): Promise<Daemon> {
    const command = [built("xgw/lib/main.js"), "run", "-c", configFile];
    const child = spawn(process.execPath, command, {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, XGW_LOG: "info" },
    });
    const daemon = new Daemon(child);
    await new Promise<void>((resolve, reject) => {
      child.stderr?.on("data", (data: Buffer) => {
        daemon.log += data.toString();
        if (daemon.log.includes('"msg":"running"')) resolve();
      });
      child.once("close", (code) => reject(new Error(`xgw run ended with ${code}: ${daemon.log}`)));
    });
    return daemon;
  }

  /** Without a chance to end what it has begun. */
  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = once(this.process, "exit");
    this.process.kill("SIGKILL");
    await ended;
  }
}
