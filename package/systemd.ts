/**
 * systemd as the init of a small machine: in process and mount namespaces of its own, in the network namespace that it is
 * given, with this machine's files. Only what a service needs is started.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { type Namespace, type Output, tryRun } from "../vm/lab/netns.js";

const units = "/etc/systemd/system";

/** Targets whose usual members (devices, file systems, logins) this machine has no use for; it keeps a journal. */
const emptied = ["sysinit", "sockets", "timers", "local-fs", "multi-user"];
const kept = /^systemd-journald/;
const vendor = "/lib/systemd/system";
const bootSeconds = 300;

export class Machine {
  private constructor(
    private readonly child: ChildProcess,
    private readonly init: number,
  ) {}

  static async boot(network: Namespace): Promise<Machine> {
    // What is written here goes with the guest; on a machine that is somebody's it would be ruin.
    if (!process.env.XGW_IN_VM) throw new Error("this is for the VM only");
    await mkdir(units, { recursive: true });
    for (const name of emptied) await emptyTarget(name);
    await rm("/usr/sbin/policy-rc.d", { force: true }); // with which images of containers refuse to start and stop services
    await writeFile(`${units}/machine.target`, "[Unit]\nRequires=basic.target\nAfter=basic.target\n");
    const enter = [
      "nsenter",
      `--net=/run/netns/${network.name}`,
      "unshare",
      "--pid",
      "--fork",
      "--mount",
      "--mount-proc",
    ];
    const init = ["/lib/systemd/systemd", "--system", "--unit=machine.target", "--log-target=journal"];
    // As in a container: it finds the file systems mounted, and no devices to wait for.
    const env = ["env", "-i", "container=xgw", `PATH=${process.env.PATH}`];
    const [program = "", ...args] = [...enter, ...env, ...init];
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] });
    const machine = new Machine(child, await firstChild(child.pid ?? 0));
    for (const deadline = performance.now() + 1000 * bootSeconds; ; ) {
      const { stdout, stderr } = await machine.run("systemctl", "is-active", "machine.target");
      if (stdout.trim() === "active") return machine;
      if (performance.now() > deadline) throw new Error(`systemd does not come up: ${stdout}${stderr}`);
      await sleep(1000);
    }
  }

  /** Runs a program on the machine, to its end. */
  run(...command: string[]): Promise<Output> {
    return tryRun("nsenter", [`--target=${this.init}`, "--pid", "--mount", "--net", "--", ...command]);
  }

  /** A unit's properties, as `systemctl show` names them. */
  async show<K extends string>(unit: string, ...names: readonly K[]): Promise<Record<K, string>> {
    const { stdout } = await this.run("systemctl", "show", unit, `--property=${names.join(",")}`);
    const pairs = stdout.split("\n").map((line) => [line.split("=")[0], line.slice(line.indexOf("=") + 1)] as const);
    return Object.fromEntries(pairs) as Record<K, string>;
  }

  off(): void {
    this.child.kill("SIGKILL");
    process.kill(this.init, "SIGKILL");
  }
}

async function emptyTarget(name: string): Promise<void> {
  const members = await readdir(`${vendor}/${name}.target.wants`).catch(() => []);
  for (const member of members.filter((unit) => !kept.test(unit)))
    await symlink("/dev/null", `${units}/${member}`).catch(() => {}); // masked, or the operator's own
  await rm(`${units}/${name}.target.wants`, { recursive: true, force: true });
}

/** The one that `unshare` forks, which is process 1 inside. */
async function firstChild(parent: number): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const children = await readFile(`/proc/${parent}/task/${parent}/children`, "utf8").catch(() => "");
    const child = Number(children.trim().split(" ")[0]);
    const program = child > 0 ? await readFile(`/proc/${child}/comm`, "utf8").catch(() => "") : "";
    if (program.startsWith("systemd")) return child;
    await sleep(100);
  }
  throw new Error("systemd has not started");
}
