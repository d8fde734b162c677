/**
 * xdp-forward of Debian's xdp-tools, what users have to forward by XDP with: its program is taken out of the package's
 * binary and run as it is, between two devices of a network namespace of its own.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { arch } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BpfObject, type BpfProgram, inNetNamespace, interfaceIndex } from "libbpf-ts";
import { AptSuite } from "../vm/apt.js";
import { u32 } from "./objects.js";

/** The first suite whose xdp-tools has xdp-forward. */
const suite = "trixie";
const cache = fileURLToPath(new URL("../../node_modules/.cache/xgw/bench/", import.meta.url));
const elfMagic = Buffer.from([0x7f, 0x45, 0x4c, 0x46]);
const machineBpf = 247;
const sectionHeaderBytes = 64;

const run = (command: string, ...args: string[]) => execFileSync(command, args, { stdio: ["ignore", "pipe", "pipe"] });

async function fetchBinary(): Promise<string> {
  const binary = join(cache, "xdp-tools", "usr", "sbin", "xdp-forward");
  if (existsSync(binary)) return binary;
  mkdirSync(cache, { recursive: true });
  const debianArch = arch() === "x64" ? "amd64" : arch();
  const apt = await AptSuite.open(suite, debianArch, join(cache, "apt"));
  const [file = ""] = await apt.download(["xdp-tools"], join(cache, "packages"));
  run("dpkg", "-x", file, join(cache, "xdp-tools"));
  return binary;
}

function packageVersion(): string {
  const [file = ""] = readdirSync(join(cache, "packages"));
  return /_([^_]+)_/.exec(file)?.[1] ?? "";
}

/** The BPF objects that a program carries in itself: ELF files within the ELF file. */
function* objectsWithin(binary: Buffer): Generator<Buffer> {
  for (let at = binary.indexOf(elfMagic, 1); at >= 0; at = binary.indexOf(elfMagic, at + 1)) {
    const elf = binary.subarray(at);
    if (elf.readUInt16LE(18) !== machineBpf) continue;
    const sections = elf.readUInt16LE(60);
    yield Buffer.from(elf.subarray(0, Number(elf.readBigUInt64LE(40)) + sections * sectionHeaderBytes));
  }
}

function objectWith(program: string, binary: string): BpfObject {
  for (const bytes of objectsWithin(readFileSync(binary))) {
    if (!bytes.includes(`\0${program}\0`)) continue;
    const object = BpfObject.open(bytes, { name: "xdp_forward" });
    if (object.programs.some(({ name }) => name === program)) {
      for (const { name } of object.programs) object.setAutoload(name, name === program);
      return object.load();
    }
    object.close();
  }
  throw new Error(`no program ${program} in ${binary}`);
}

export interface Peer {
  readonly version: string;
  readonly program: BpfProgram;
  /** The `struct xdp_md` of a packet that arrives where it is forwarded from. */
  context(frameLength: number): Buffer;
  /** Runs synchronous work where its devices are. */
  within<T>(work: () => T): T;
  close(): void;
}

/** Routes what is for `network` to the other device. */
export async function openPeer(network: string, gatewayMac: string): Promise<Peer> {
  const binary = await fetchBinary();
  const name = `xgw-bench-${process.pid}`;
  const path = `/run/netns/${name}`;
  const ip = (...args: string[]) => run("ip", "-n", name, ...args);
  run("ip", "netns", "add", name);
  const remove = () => run("ip", "netns", "del", name);
  try {
    const mac = gatewayMac.match(/../g)?.join(":") ?? "";
    ip("link", "add", "in0", "address", mac, "type", "veth", "peer", "name", "in1");
    ip("link", "add", "out0", "type", "veth", "peer", "name", "out1");
    for (const device of ["lo", "in0", "in1", "out0", "out1"]) ip("link", "set", device, "up");
    ip("address", "add", "192.168.1.1/24", "dev", "in0");
    ip("address", "add", "192.168.2.1/24", "dev", "out0");
    ip("neighbour", "add", "192.168.2.2", "lladdr", "02:00:00:00:00:99", "dev", "out0", "nud", "permanent");
    ip("route", "add", network, "via", "192.168.2.2");
    run("ip", "netns", "exec", name, "sysctl", "-q", "net.ipv4.ip_forward=1");
    const within = <T>(work: () => T): T => inNetNamespace(path, work as () => never);
    const object = objectWith("xdp_fwd_fib_full", binary);
    const [from, to] = within(() => [interfaceIndex("in0"), interfaceIndex("out0")]);
    for (const { name: map, type } of object.maps)
      if (type === "devmap_hash") within(() => object.map(map).set(u32(to), u32(to)));
    return {
      version: packageVersion(),
      program: object.program("xdp_fwd_fib_full"),
      context: (length) => u32(0, length, 0, from, 0, 0),
      within,
      close: () => {
        object.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}
