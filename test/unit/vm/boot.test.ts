import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CpioArchive } from "../../../vm/cpio.js";
import { moduleFiles, moduleName } from "../../../vm/modules.js";
import { atLeast } from "../../../vm/release.js";
import { Tail } from "../../../vm/tail.js";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "xgw-unit-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe("CpioArchive", () => {
  it("is read by others", () => {
    const archive = new CpioArchive();
    archive.directory("bin");
    archive.file("bin/odd", Buffer.from("12345"), 0o755);
    archive.file("empty", Buffer.alloc(0), 0o600);
    const listing = execFileSync("busybox", ["cpio", "-tv"], {
      input: archive.end(),
      stdio: ["pipe", "pipe", "ignore"],
    });
    const lines = listing
      .toString()
      .trim()
      .split("\n")
      .map((line) => line.split(/\s+/));
    expect(lines.map((words) => [words[0], words.at(-1)])).toEqual([
      ["drwxr-xr-x", "bin"],
      ["-rwxr-xr-x", "bin/odd"],
      ["-rw-------", "empty"],
    ]);
  });
});

describe("moduleFiles", () => {
  beforeEach(() => {
    writeFileSync(
      join(dir, "modules.dep"),
      "kernel/c.ko.xz: kernel/b-b.ko kernel/a.ko\nkernel/b-b.ko: kernel/a.ko\nkernel/a.ko:\nkernel/d.ko:\n",
    );
    writeFileSync(join(dir, "modules.builtin"), "kernel/in-built.ko\n");
  });

  it("puts each module behind those that it needs, once", async () => {
    const files = await moduleFiles(dir, ["c", "b_b"]);
    expect(files).toEqual(["kernel/a.ko", "kernel/b-b.ko", "kernel/c.ko.xz"].map((file) => join(dir, file)));
  });

  it("leaves out what is built in and refuses what there is not", async () => {
    expect(await moduleFiles(dir, ["in_built"])).toEqual([]);
    await expect(moduleFiles(dir, ["nonsense"])).rejects.toThrow("nonsense");
  });

  it("names modules as the kernel does", () => {
    expect(["x/nf-conn.ko", "nf_conn.ko.zst", "nf-conn"].map(moduleName)).toEqual(["nf_conn", "nf_conn", "nf_conn"]);
  });
});

describe("atLeast", () => {
  it.each([
    ["6.12.95+deb12-amd64", true],
    ["6.12", true],
    ["7.2.12", true],
    ["6.9.1", false],
    ["5.15.0-generic", false],
  ])("%s", (release, is) => expect(atLeast(release, "6.12")).toBe(is));
});

describe("Tail", () => {
  it("keeps the last bytes", () => {
    const tail = new Tail(5);
    for (const word of ["one", "two", "3"]) tail.add(Buffer.from(word));
    expect(tail.text()).toBe("etwo3");
  });
});
