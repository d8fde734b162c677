import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";

const formats = [
  { magic: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), tool: "zstd" },
  { magic: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a]), tool: "xz" },
  { magic: Buffer.from([0x1f, 0x8b, 0x08]), tool: "gzip" },
];

/**
 * Unpacks the ELF kernel out of an x86 bzImage. QEMU boots it at its PVH entry, which spares an emulated machine the
 * unpacking (0.7 s). Returns whether there was one.
 */
export async function extractVmlinux(bzImage: string, vmlinux: string): Promise<boolean> {
  const image = await readFile(bzImage);
  for (const { magic, tool } of formats) {
    for (let at = image.indexOf(magic); at >= 0; at = image.indexOf(magic, at + 1)) {
      const kernel = await decompress(tool, image.subarray(at));
      if (!bootsByPvh(kernel)) continue;
      await writeFile(vmlinux, kernel);
      return true;
    }
  }
  return false;
}

/** What follows the compressed part makes the tool fail in the end; what it wrote before that is good. */
function decompress(tool: string, data: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    const options = { encoding: "buffer", maxBuffer: 512 << 20 } as const;
    const child = execFile(tool, ["-dc"], options, (_error, stdout) => resolve(stdout));
    child.stdin?.on("error", () => {});
    child.stdin?.end(data);
  });
}

/** An ELF file with Xen's note for a 32-bit entry point (type 18). */
function bootsByPvh(kernel: Buffer): boolean {
  const note = Buffer.from("\x04\0\0\0\x08\0\0\0\x12\0\0\0Xen\0", "latin1");
  return kernel.subarray(0, 4).toString("latin1") === "\x7fELF" && kernel.includes(note);
}
