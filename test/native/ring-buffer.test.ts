/** Ring buffers: records as they come, back-pressure, and an end. */
import { BpfMap, BpfObject, RingBuffer } from "libbpf-ts";
import { expect, onTestFinished, test } from "vitest";
import { objectFile } from "./support/compile.js";
import { failure } from "./support/kernel.js";

const packet = { data: Buffer.alloc(64) };

function filled(records: number): { object: BpfObject; ring: RingBuffer; accepted: number } {
  const object = BpfObject.open(objectFile("kinds")).load();
  onTestFinished(() => object.close());
  const ring = new RingBuffer(object.map("k_ring"), { batchSize: 8 });
  onTestFinished(() => ring.close());
  return { object, ring, accepted: fill(object, records) };
}

/** Tries to put records of 64 bytes (with their headers) into the ring. Returns how many fitted. */
function fill(object: BpfObject, records: number): number {
  let accepted = 0;
  for (let i = 0; i < records; i++) accepted += object.program("fill_ring").testRun(packet).retval;
  return accepted;
}

test("records that are there already come at once", async () => {
  const { ring } = filled(3);
  const lengths: number[] = [];
  for await (const record of ring) {
    lengths.push(record.length);
    if (lengths.length === 3) break;
  }
  expect(lengths).toEqual([56, 56, 56]);
});

test("a record that comes later wakes the reader", async () => {
  const { object, ring } = filled(0);
  const waiting = ring.next();
  setTimeout(() => fill(object, 1), 20);
  expect((await waiting).value?.length).toBe(56);
});

test("who does not read leaves the records in the ring, and the program is refused when it is full", async () => {
  const { object, ring, accepted } = filled(100);
  expect(accepted, "records of 64 bytes in a ring of 4096").toBe(63);
  await ring.next();
  // One batch of 8 was taken out: there is room for 8 more and no more.
  expect(fill(object, 100)).toBe(8);
});

test("a waiting reader keeps no CPU busy", async () => {
  const { object, ring } = filled(0);
  const before = process.cpuUsage();
  const waiting = ring.next();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const { user, system } = process.cpuUsage(before);
  fill(object, 1);
  await waiting;
  expect(user + system, "µs of CPU in a second").toBeLessThan(500_000);
});

test("several that wait get a record each, in order", async () => {
  const object = BpfObject.open(objectFile("basic")).load();
  onTestFinished(() => object.close());
  using ring = new RingBuffer(object.map("events"));
  const waiting = [ring.next(), ring.next(), ring.next()];
  for (let run = 0; run < 3; run++) object.program("count").testRun(packet);
  const numbers = (await Promise.all(waiting)).map(({ value }) => value?.readUInt32LE(4));
  expect(numbers).toEqual([0, 1, 2]);
});

test("take() gives what is there without waiting", () => {
  const { ring } = filled(20);
  expect([ring.take(5).length, ring.take(100).length, ring.take().length]).toEqual([5, 15, 0]);
});

test("close() ends the one who waits", async () => {
  const { ring } = filled(0);
  const waiting = ring.next();
  ring.close();
  ring.close();
  expect([await waiting, await ring.next()]).toEqual([
    { done: true, value: undefined },
    { done: true, value: undefined },
  ]);
});

test("leaving the loop closes the reader", async () => {
  const { ring } = filled(1);
  for await (const _ of ring) break;
  expect([ring.closed, failure(() => ring.take()).code]).toEqual([true, "EBADF"]);
});

test("a map that is no ring buffer is refused", () => {
  using map = BpfMap.create({ type: "hash", name: "h", keySize: 4, valueSize: 4, maxEntries: 1 });
  expect(failure(() => new RingBuffer(map)).message).toBe("read ring buffer map h: it is a hash (EINVAL)");
});
