// A worker that opens many things and closes none; says what it saw, then ends.
import { parentPort, workerData } from "node:worker_threads";
import { BpfMap, BpfObject, NetlinkListener, RingBuffer } from "libbpf-ts";

const object = BpfObject.open(workerData.objectPath).load();
const ring = new RingBuffer(object.map("events"));
const map = BpfMap.openById(workerData.mapId);
void ring.next();
new NetlinkListener({ protocol: 0, groups: [1], onMessage: () => {}, onLost: () => {} });
object.program("count").testRun({ data: Buffer.alloc(64) });
parentPort.postMessage({ value: map.get(Buffer.alloc(4))?.toString("hex"), seen: object.readVariable("seen") });
