// Uses a good part of the addon a few times and ends with half of it open. LeakSanitizer looks at what is left.
import { readFileSync } from "node:fs";
import { BpfMap, BpfObject, BpfProgram, Btf, RingBuffer, showMaps, showNet, showPrograms } from "libbpf-ts";

const bytes = readFileSync(new URL("../build/basic.bpf.o", import.meta.url));
for (let i = 0; i < 5; i++) {
  const object = BpfObject.open(bytes, { name: "leaks" }).setVariable("verdict", 1).load();
  const ring = new RingBuffer(object.map("events"));
  const waiting = ring.next();
  BpfProgram.openById(object.program("count").id).testRun({ data: Buffer.alloc(64), repeat: 3 });
  await waiting;
  object.map("flows").setBatch(Buffer.alloc(8), Buffer.alloc(16));
  object.map("flows").getBatch();
  object.btf.toC();
  showMaps({ pinned: true });
  showPrograms();
  showNet();
  try {
    BpfObject.open(Buffer.from("nonsense"));
  } catch {
    // As it should be.
  }
  // Every second time nothing is closed: the end of the environment has to do it.
  if (i % 2 === 0) {
    ring.close();
    object.close();
  }
}
BpfMap.create({ type: "hash", keySize: 4, valueSize: 4, maxEntries: 1 });
Btf.vmlinux().get("task_struct", "struct");
