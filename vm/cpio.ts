/** A file system image in the kernel's initramfs format ("newc"). */
export class CpioArchive {
  readonly #chunks: Buffer[] = [];
  #inode = 1;

  directory(path: string): void {
    this.#entry(path, 0o040755, Buffer.alloc(0));
  }

  file(path: string, data: Buffer, mode: number): void {
    this.#entry(path, 0o100000 | mode, data);
  }

  /** A character device node. */
  device(path: string, major: number, minor: number): void {
    this.#entry(path, 0o020600, Buffer.alloc(0), major, minor);
  }

  end(): Buffer {
    this.#entry("TRAILER!!!", 0, Buffer.alloc(0));
    return Buffer.concat(this.#chunks);
  }

  #entry(path: string, mode: number, data: Buffer, major = 0, minor = 0): void {
    const name = Buffer.from(`${path}\0`);
    const fields = [this.#inode++, mode, 0, 0, 1, 0, data.length, 0, 0, major, minor, name.length, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`;
    this.#chunks.push(padded(Buffer.concat([Buffer.from(header), name])), padded(data));
  }
}

function padded(data: Buffer): Buffer {
  const rest = data.length % 4;
  return rest === 0 ? data : Buffer.concat([data, Buffer.alloc(4 - rest)]);
}
