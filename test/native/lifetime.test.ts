/** Nothing leaks: over thousands of cycles, and from workers that end without closing anything. */
import { execFile } from "node:child_process";
import { readdirSync, readlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { BpfMap } from "libbpf-ts";
import { expect, onTestFinished, test } from "vitest";
import { objectFile } from "./support/compile.js";
import { netNamespace, pinDirectory } from "./support/kernel.js";

const CYCLES = 10_000;

function script(name: string): string {
  return fileURLToPath(new URL(`scripts/${name}`, import.meta.url));
}

test(`${CYCLES} cycles of everything leave no descriptor and no memory behind`, { timeout: 120_000 }, async () => {
  const args = ["--expose-gc", script("lifetimes.mjs"), objectFile("basic"), netNamespace().path, pinDirectory()];
  const { stdout } = await promisify(execFile)(process.execPath, [...args, String(CYCLES)]);
  const grown = JSON.parse(stdout) as { descriptors: number; bytesPerCycle: number };
  expect(grown.descriptors, "descriptors more than before").toBe(0);
  expect(grown.bytesPerCycle, "bytes of memory a cycle").toBeLessThan(3000);
});

test("a worker does its work, and what it left open closes with it", async () => {
  using map = BpfMap.create({ type: "hash", keySize: 4, valueSize: 4, maxEntries: 1 });
  map.set(Buffer.alloc(4), Buffer.from([1, 2, 3, 4]));
  const before = bpfDescriptors();
  const seen: unknown[] = [];
  for (let i = 0; i < 3; i++) {
    const worker = new Worker(script("worker.mjs"), {
      workerData: { objectPath: objectFile("basic"), mapId: map.info.id },
    });
    onTestFinished(() => void worker.terminate());
    worker.on("message", (message) => seen.push(message));
    await new Promise((resolve) => worker.once("message", resolve));
    await worker.terminate();
  }
  expect(seen).toEqual(Array.from({ length: 3 }, () => ({ value: "01020304", seen: 1n })));
  expect(bpfDescriptors(), "descriptors more than before").toBe(before);
});

test("workers that are ended in the middle of calls take nobody with them", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [script("ended-workers.mjs"), "30"]);
  expect(stdout).toBe("all ended\n");
});

test("a process that ends with objects and a waiting reader open ends in order", async () => {
  objectFile("basic");
  const { stderr } = await promisify(execFile)(process.execPath, [script("unclosed.mjs")]);
  expect(stderr).toBe("");
});

/** All of this process's, of maps, programs, links and BTF: workers share them. */
function bpfDescriptors(): number {
  const target = (name: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`);
    } catch {
      return ""; // closed since the list was made
    }
  };
  return readdirSync("/proc/self/fd").filter((name) => /^anon_inode:\[?(bpf|btf)/.test(target(name))).length;
}
