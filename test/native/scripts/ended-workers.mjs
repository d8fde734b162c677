// Workers that are ended in the middle of calls into the addon. Argument: how many.
import { setTimeout as sleep } from "node:timers/promises";
import { isMainThread, Worker } from "node:worker_threads";
import { BpfMap, listBtf } from "libbpf-ts";

if (isMainThread) {
  for (let left = Number(process.argv[2]); left > 0; left--) {
    const worker = new Worker(new URL(import.meta.url));
    await new Promise((resolve) => worker.once("message", resolve));
    await sleep(Math.random() * 5);
    await worker.terminate();
  }
  console.log("all ended");
} else {
  const { parentPort } = await import("node:worker_threads");
  const map = BpfMap.create({ type: "hash", keySize: 4, valueSize: 8, maxEntries: 1024 });
  for (let key = 0; key < 1024; key++) map.set(Buffer.from(new Uint32Array([key]).buffer), Buffer.alloc(8));
  parentPort?.postMessage("ready");
  for (;;) {
    for (const _ of map.batches({ size: 64 }));
    listBtf();
  }
}
