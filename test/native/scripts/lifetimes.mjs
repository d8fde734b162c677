// Opens and closes everything, many times over, and prints as JSON how descriptors and memory grew. Needs node --expose-gc.
import { readdirSync, readFileSync } from "node:fs";
import {
  BpfLink,
  BpfMap,
  BpfObject,
  BpfProgram,
  inNetNamespace,
  interfaceIndex,
  NetlinkListener,
  RingBuffer,
} from "libbpf-ts";

const [objectPath, netns, pins, cyclesText] = process.argv.slice(2);
const cycles = Number(cyclesText);
const bytes = readFileSync(objectPath);
const key = Buffer.alloc(8);
const value = Buffer.alloc(16);
const packet = { data: Buffer.alloc(64) };
const ifindex = inNetNamespace(netns, () => interfaceIndex("v0"));

// What is cheap runs every time, what is not (it waits for RCU in the kernel) every so often.
function cycle(i) {
  const map = BpfMap.create({ type: "hash", keySize: 8, valueSize: 16, maxEntries: 4 });
  map.set(key, value);
  map.get(key);
  for (const _ of map) {
    // Leaves in the middle of an iteration.
    break;
  }
  map.clone().close();
  try {
    map.set(key, key);
  } catch {
    // The wrong size: an error a cycle.
  }
  map.close();
  const object = BpfObject.open(bytes, { name: "basic" });
  object.setVariable("verdict", 1);
  try {
    BpfObject.open(key);
  } catch {
    // No object.
  }
  if (i % 20 === 0) loaded(object, i % 100 === 0);
  object.close();
}

function loaded(object, attached) {
  object.load();
  object.program("count").testRun(packet);
  const ring = new RingBuffer(object.map("events"));
  ring.take();
  ring.close();
  new NetlinkListener({ protocol: 0, groups: [1], onMessage: () => {}, onLost: () => {} }).close();
  if (!attached) return;
  const link = inNetNamespace(netns, () => object.program("count").attachXdp({ ifindex }));
  link.pin(`${pins}/link`);
  object.map("flows").pin(`${pins}/map`);
  BpfLink.openPinned(`${pins}/link`).close();
  BpfMap.openPinned(`${pins}/map`).close();
  BpfProgram.openById(object.program("count").id).close();
  link.unpin();
  object.map("flows").unpin();
  link.close();
}

function measure() {
  globalThis.gc();
  return { descriptors: readdirSync("/proc/self/fd").length, rssBytes: process.memoryUsage().rss };
}

// The least of several looks at either end: what lies between two collections comes and goes by megabytes. The first third
// fills caches and pools.
const samples = [];
for (let i = 0; i < cycles; i++) {
  cycle(i);
  if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve)); // readers go when the event loop turns
  if (i % Math.ceil(cycles / 30) === 0) samples.push(measure());
}
samples.push(measure());
const least = (some) => Math.min(...some.map(({ rssBytes }) => rssBytes));
const third = Math.floor(samples.length / 3);
const grown = least(samples.slice(-third)) - least(samples.slice(third, 2 * third));
process.stdout.write(
  JSON.stringify({
    cycles,
    descriptors: samples.at(-1).descriptors - samples[0].descriptors,
    bytesPerCycle: Math.max(0, grown) / (cycles / 3),
  }),
);
