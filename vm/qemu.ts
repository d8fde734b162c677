import { type ChildProcess, type IOType, spawn } from "node:child_process";
import { hostArch } from "./arch.js";
import type { Kernel } from "./kernels.js";

/** The file descriptors of QEMU that are the guest's ports 1, 2 and 3. */
export const portFds = { stdout: 3, stderr: 4, control: 5 } as const;

export interface Machine {
  readonly kernel: Kernel;
  readonly initrd: string;
  readonly accelArgs: readonly string[];
  readonly memoryMiB: number;
  readonly cpus: number;
  /** A host directory that the guest may write to. */
  readonly share: string | undefined;
  /** The guest's console is this process's terminal. */
  readonly interactive?: boolean | undefined;
}

/** What makes the boot shorter (measured under emulation: 3.9 s before, 2.3 s after) or a fault louder. */
const kernelParameters = [
  "rdinit=/init",
  "quiet",
  // An oops ends the guest, so that it is reported and not waited for.
  "panic=-1",
  "oops=panic",
  // What protects or checks a machine that lives for seconds.
  "mitigations=off",
  "nokaslr",
  "init_on_alloc=0",
  "audit=0",
  "lsm=landlock,bpf",
  "cryptomgr.notests",
  "initcall_blacklist=jent_mod_init,load_system_certificate_list",
  // What this machine does not have.
  "8250.nr_uarts=1",
  "i8042.nokbd",
  "i8042.noaux",
  "no_timer_check",
  "tsc=reliable",
  // The same program at the same addresses each time: QEMU keeps its translation. (`ip` and `nft` start in half the time.)
  "norandmaps",
  // Network devices and namespaces come and go by the hundred: do not wait out each grace period.
  "rcupdate.rcu_expedited=1",
];

/** Starts QEMU. It dies with this process, however this process ends, and leaves no core file. */
export function startQemu(machine: Machine): ChildProcess {
  const command = [hostArch().qemu, ...qemuArgs(machine)];
  const terminal: IOType[] = machine.interactive ? ["inherit", "inherit"] : ["ignore", "pipe"];
  return spawn("prlimit", ["--core=0", "setpriv", "--pdeathsig", "KILL", ...command], {
    stdio: [...terminal, "pipe", "pipe", "pipe", "pipe"],
  });
}

function qemuArgs(machine: Machine): string[] {
  const { machine: board, console } = hostArch();
  const extra = process.env.XGW_VM_APPEND?.split(" ") ?? [];
  const append = [`console=${console}`, ...kernelParameters, ...extra].join(" ");
  const files = "security_model=none,multidevs=remap";
  return [
    ...[...board, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-monitor", "none"],
    ...machine.accelArgs,
    ...["-m", String(machine.memoryMiB), "-smp", String(machine.cpus)],
    ...["-kernel", machine.kernel.image, "-initrd", machine.initrd, "-append", append],
    ...["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"],
    ...["-device", "virtio-serial-pci,max_ports=8"],
    ...port(1, portFds.stdout),
    ...port(2, portFds.stderr),
    ...port(3, portFds.control),
    ...["-virtfs", `local,path=/,mount_tag=host,readonly=on,${files}`],
    ...(machine.share === undefined ? [] : ["-virtfs", `local,path=${comma(machine.share)},mount_tag=share,${files}`]),
  ];
}

function port(nr: number, fd: number): string[] {
  return ["-chardev", `socket,id=port${nr},fd=${fd}`, "-device", `virtserialport,chardev=port${nr},nr=${nr}`];
}

/** QEMU wants a comma doubled in the value of an option. */
function comma(value: string): string {
  return value.replaceAll(",", ",,");
}
