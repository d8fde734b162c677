import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AptSuite } from "./apt.js";
import { hostArch } from "./arch.js";
import { exec } from "./exec.js";
import { cacheDir, repoRoot } from "./root.js";
import { extractVmlinux } from "./vmlinux.js";

interface KernelSpec {
  /** What the release starts with: "6.12". */
  readonly series: string;
  /** Debian suites, tried in order. */
  readonly suites: readonly string[];
}

interface KernelMatrix {
  readonly default: string;
  readonly kernels: Readonly<Record<string, KernelSpec>>;
}

/** A kernel unpacked in the cache. */
export interface Kernel {
  readonly name: string;
  /** As `uname -r` says it. */
  readonly release: string;
  readonly image: string;
  /** The directory that holds modules.dep. */
  readonly modules: string;
  readonly dir: string;
}

/** What kernel.json in the cache says. */
interface KernelRecord {
  readonly release: string;
  /** Relative to the directory that holds kernel.json. */
  readonly image: string;
  readonly suite: string;
  readonly packages: readonly string[];
}

export async function kernelMatrix(): Promise<KernelMatrix> {
  return JSON.parse(await readFile(join(repoRoot, "vm", "kernels.json"), "utf8")) as KernelMatrix;
}

/** The kernel of that name in the matrix, fetched from Debian's archive unless the cache has it. */
export async function ensureKernel(name: string | undefined, log: (line: string) => void): Promise<Kernel> {
  const matrix = await kernelMatrix();
  const wanted = name ?? matrix.default;
  const spec = matrix.kernels[wanted];
  if (!spec) {
    throw new Error(`no kernel "${wanted}" in vm/kernels.json; it has ${Object.keys(matrix.kernels).join(", ")}`);
  }
  const dir = join(cacheDir(), "kernels", `${wanted}-${hostArch().debian}`);
  if (!existsSync(dir)) await fetchKernel(wanted, spec, dir, log);
  return unpackedKernel(wanted, dir);
}

async function unpackedKernel(name: string, dir: string): Promise<Kernel> {
  const { release, image } = JSON.parse(await readFile(join(dir, "kernel.json"), "utf8")) as KernelRecord;
  return { name, release, dir, image: join(dir, image), modules: join(dir, "lib", "modules", release) };
}

async function fetchKernel(name: string, spec: KernelSpec, dir: string, log: (line: string) => void): Promise<void> {
  const problems: string[] = [];
  for (const suite of spec.suites) {
    try {
      return await fetchFrom(suite, spec, dir, log);
    } catch (error) {
      problems.push(`${suite}: ${error instanceof Error ? error.message.trim() : String(error)}`);
    }
  }
  throw new Error(`cannot fetch kernel ${name} from Debian's archive (is the network up?)\n${problems.join("\n")}`);
}

async function fetchFrom(suite: string, spec: KernelSpec, dir: string, log: (line: string) => void): Promise<void> {
  const arch = hostArch().debian;
  const apt = await AptSuite.open(suite, arch, join(cacheDir(), "apt", suite));
  const { packages, release } = await resolvePackages(apt, spec.series, arch);
  log(`fetching Linux ${release} from Debian ${suite} (about 100 MB, once)`);
  const work = `${dir}.${process.pid}`;
  try {
    const debs = await apt.download(packages, join(work, "debs"));
    const root = join(work, "root");
    await mkdir(root);
    for (const deb of debs) await exec("dpkg-deb", ["-x", deb, root]);
    // Some suites ship /usr/lib/modules, some /lib/modules.
    if (existsSync(join(root, "usr", "lib", "modules"))) {
      await mkdir(join(root, "lib"), { recursive: true });
      await rename(join(root, "usr", "lib", "modules"), join(root, "lib", "modules"));
    }
    await expandModules(join(root, "lib", "modules", release));
    await exec("depmod", ["-b", root, release]);
    const image = await bootImage(root, release);
    const record: KernelRecord = { release, image, suite, packages };
    await writeFile(join(root, "kernel.json"), `${JSON.stringify(record)}\n`);
    await rename(root, dir).catch((error: unknown) => {
      if (!existsSync(dir)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The packages that hold the newest image of a series and its modules: one in Linux 6.12, four in 7.2. */
async function resolvePackages(apt: AptSuite, series: string, arch: string) {
  // Other flavours have another word before the architecture: "-cloud-amd64" (which lacks 9p), "-rt-amd64".
  const images = await apt.search(`^linux-image-${series.replaceAll(".", "\\.")}\\.[^-]*-${arch}$`);
  const image = newest(images);
  if (image === undefined) throw new Error(`no Linux ${series}`);
  const release = image.slice("linux-image-".length);
  const depends = (await apt.show(image))?.get("Depends") ?? "";
  const parts = depends.split(/[\s,|]+/).filter((part) => part.startsWith("linux-") && part.endsWith(`-${release}`));
  return { packages: [image, ...parts], release };
}

function newest(names: readonly string[]): string | undefined {
  const { compare } = new Intl.Collator("en", { numeric: true });
  return names.toSorted(compare).at(-1);
}

/** The file to boot, relative to the root of the unpacked packages. */
async function bootImage(root: string, release: string): Promise<string> {
  const places = [join("boot", `vmlinuz-${release}`), join("lib", "modules", release, "vmlinuz")];
  const image = places.find((place) => existsSync(join(root, place)));
  if (image === undefined) throw new Error(`the packages of Linux ${release} hold no image`);
  return (await extractVmlinux(join(root, image), join(root, "vmlinux"))) ? "vmlinux" : image;
}

const gatewayModules = [
  ...["net", "lib", "crypto", "arch", "fs/9p", "fs/netfs", "fs/overlayfs"],
  ...["drivers/virtio", "drivers/block", "drivers/net/netdevsim"],
];

/** Unpacking .xz in an emulated guest takes seconds; do it here for the modules that a gateway loads. */
async function expandModules(modules: string): Promise<void> {
  const compressed = await filesBelow(join(modules, "kernel/drivers/net"), false);
  for (const part of gatewayModules) compressed.push(...(await filesBelow(join(modules, "kernel", part), true)));
  for (const [suffix, tool] of [
    [".ko.xz", "xz"],
    [".ko.zst", "zstd"],
    [".ko.gz", "gzip"],
  ] as const) {
    const files = compressed.filter((file) => file.endsWith(suffix));
    for (let i = 0; i < files.length; i += 200) {
      await exec(tool, ["-d", "-q", ...(tool === "zstd" ? ["--rm"] : []), ...files.slice(i, i + 200)]);
    }
  }
}

async function filesBelow(dir: string, recursive: boolean): Promise<string[]> {
  if (!existsSync(dir)) return [];
  const entries = await readdir(dir, { recursive, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
