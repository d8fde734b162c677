/** What the kernel tells without being asked. */
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { NetlinkListener, type NetlinkListenerOptions } from "libbpf-ts";
import { expect, onTestFinished, test } from "vitest";
import { failure, netNamespace } from "./support/kernel.js";

const ROUTE = 0;
const RTNLGRP_LINK = 1;
const RTM_NEWLINK = 16;

function listen(options: Partial<NetlinkListenerOptions> = {}) {
  const namespace = netNamespace();
  const types: number[] = [];
  /** How many had been told by then. */
  const lost: number[] = [];
  const listener = namespace.inside(
    () =>
      new NetlinkListener({
        protocol: ROUTE,
        groups: [RTNLGRP_LINK],
        onMessage: ({ type }) => types.push(type),
        onLost: () => lost.push(types.length),
        ...options,
      }),
  );
  onTestFinished(() => listener.close());
  const ip = (...args: string[]) => execFileSync("ip", ["-n", namespace.name, ...args]);
  /** As many notifications as that. */
  const change = (times: number) => {
    const lines = Array.from({ length: times }, (_, at) => `link set dev v0 mtu ${1400 + (at % 2)}\n`).join("");
    execFileSync("ip", ["-n", namespace.name, "-batch", "-"], { input: lines });
  };
  return { listener, types, ip, change, lost };
}

async function until(seen: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 10_000; !seen(); await sleep(10))
    if (performance.now() > deadline) throw new Error("not seen in 10 s");
}

test("what happens is told while nobody asks", async () => {
  const { types, ip } = listen();
  ip("link", "set", "dev", "v0", "down");
  await until(() => types.length > 0);
  expect(types[0]).toBe(RTM_NEWLINK);
});

test("all of many notifications come, in several turns of the event loop", async () => {
  const { types, change } = listen();
  change(500);
  await until(() => types.length >= 500);
  expect(types.length).toBe(500);
});

test("more than the buffer takes is said to be lost, once what it took is told; what comes then is told", async () => {
  const { types, change, ip, lost } = listen({ bufferSize: 4096 });
  change(500); // while this thread is busy
  await until(() => lost.length > 0);
  await sleep(100);
  const before = types.length;
  ip("link", "set", "dev", "v0", "down");
  await until(() => types.length > before);
  expect(before).toBeLessThan(500);
  expect(lost).toEqual([before]);
});

test("nothing is told once it is closed, even by who is being told", async () => {
  const told: string[] = [];
  const { listener, change } = listen({
    onMessage: () => {
      told.push("one");
      listener.close();
    },
  });
  change(20);
  await until(() => told.length > 0);
  await sleep(100);
  expect(told).toEqual(["one"]);
});

test("who is told and throws hears the next one all the same", async () => {
  const told: string[] = [];
  const failures: Error[] = [];
  const onFailure = (error: Error) => failures.push(error);
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException").on("uncaughtException", onFailure);
  onTestFinished(() => {
    process.removeAllListeners("uncaughtException");
    for (const other of others) process.on("uncaughtException", other);
  });
  const { ip } = listen({
    onMessage: () => {
      told.push("one");
      if (told.length === 1) throw new Error("cannot");
    },
  });
  ip("link", "set", "dev", "v0", "down");
  await until(() => failures.length > 0);
  ip("link", "set", "dev", "v0", "up");
  await until(() => told.length > 1);
  expect(failures.map(({ message }) => message)).toEqual(["cannot"]);
});

test("a listener keeps no CPU busy", async () => {
  listen();
  const before = process.cpuUsage();
  await sleep(1000);
  const { user, system } = process.cpuUsage(before);
  expect(user + system, "µs of CPU in a second").toBeLessThan(500_000);
});

test("a protocol that the kernel does not have is said", () => {
  const options = { protocol: 31, groups: [], onMessage: () => {}, onLost: () => {} };
  expect(failure(() => new NetlinkListener(options))).toMatchObject({
    code: "EPROTONOSUPPORT",
    message: expect.stringContaining("listen to netlink protocol 31"),
  });
});

test("a group that there is not is said", () => {
  const options = { protocol: ROUTE, groups: [4000], onMessage: () => {}, onLost: () => {} };
  expect(failure(() => new NetlinkListener(options))).toMatchObject({ code: "EINVAL" });
});

/** A `struct sock_filter` of linux/filter.h. */
function instruction(code: number, k: number): Buffer {
  const bytes = Buffer.alloc(8);
  new Uint16Array(bytes.buffer, bytes.byteOffset, 1)[0] = code;
  new Uint32Array(bytes.buffer, bytes.byteOffset + 4, 1)[0] = k;
  return bytes;
}
/** BPF_RET | BPF_K */
const RETURN = 6;

test("what a filter lets by is told", async () => {
  const { types, ip } = listen({ filter: instruction(RETURN, 0xffff_ffff) });
  ip("link", "set", "dev", "v0", "down");
  await until(() => types.length > 0);
  expect(types[0]).toBe(RTM_NEWLINK);
});

test("what a filter refuses takes no room", async () => {
  const { types, change, lost } = listen({ bufferSize: 4096, filter: instruction(RETURN, 0) });
  change(500);
  await sleep(100);
  expect([types, lost]).toEqual([[], []]);
});

test("a filter that is no program is refused", () => {
  expect(failure(() => listen({ filter: instruction(0xffff, 0) }))).toMatchObject({ code: "EINVAL" });
});
