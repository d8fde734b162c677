// Who may ask the metrics server, how many, and what the daemon reads for it.
import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MetricsServer } from "../../../src/daemon/metrics-server.js";
import type { Logger } from "../../../src/log.js";

let port = 19_000 + (process.pid % 10_000);
let url = "";
const log = { info() {}, error() {} } as unknown as Logger;

let reads: number;
/** Ends the readings that wait. */
let finish: (() => void)[];
let big: readonly Buffer[];
let server: MetricsServer;
beforeEach(async () => {
  [reads, finish, big] = [0, [], []];
  const read = async () => {
    const number = ++reads;
    await new Promise<void>((done) => finish.push(done));
    return [Buffer.from(`reading ${number}\n`), ...big];
  };
  server = new MetricsServer(read, log, 500);
  const listen = `127.0.0.1:${++port}`; // anew, for clients keep connections to the old one
  url = `http://${listen}/metrics`;
  await server.follow({ metrics: { listen } });
});
afterEach(() => server.close());

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((done) => setTimeout(done, 5));
}
const textOf = async (answer: Promise<Response>) => (await answer).text();

describe("the metrics server", () => {
  it("reads once for all who ask meanwhile, and anew for who asks afterwards", async () => {
    const together = [1, 2, 3, 4].map(() => textOf(fetch(url)));
    await until(() => finish.length === 1);
    await new Promise((done) => setTimeout(done, 100));
    finish.shift()?.();
    expect(await Promise.all(together)).toEqual(Array(4).fill("reading 1\n"));
    const later = textOf(fetch(url));
    await until(() => finish.length === 1);
    finish.shift()?.();
    expect(await later).toBe("reading 2\n");
  });

  it("reads nothing for another path", async () => {
    expect((await fetch(url.replace("metrics", ""))).status).toBe(404);
    expect(reads).toBe(0);
  });

  it("cuts off who does not listen", async () => {
    big = Array(500).fill(Buffer.alloc(65_536, "x"));
    const deaf = connect(port, "127.0.0.1").pause();
    deaf.write("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    await until(() => finish.length === 1);
    finish.shift()?.();
    await new Promise((done) => setTimeout(done, 1500));
    let told = 0;
    deaf.on("data", (data) => {
      told += data.length;
    });
    deaf.on("error", () => {});
    await once(deaf.resume(), "close");
    expect(told).toBeLessThan(500 * 65_536);
  });

  it("has so many connections and no more", async () => {
    const sockets = Array.from({ length: 40 }, () => connect(port, "127.0.0.1"));
    let closed = 0;
    for (const socket of sockets) {
      socket.on("error", () => {});
      socket.on("close", () => closed++);
    }
    await until(() => closed === 8);
    for (const socket of sockets) socket.destroy();
  });

  it.each([
    ["that ask for nothing", ""],
    ["that ask, and wait for the answer", "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"],
  ])("answers who comes behind as many as there may be %s", async (_what, words) => {
    const sockets = Array.from({ length: 32 }, () => connect(port, "127.0.0.1").on("error", () => {}));
    for (const socket of sockets) socket.write(words);
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    if (words) await until(() => finish.length === 1);
    const late = textOf(fetch(url));
    await until(() => sockets.some(({ destroyed }) => destroyed));
    await until(() => finish.length === 1);
    finish.shift()?.();
    expect(await late).toBe("reading 1\n");
    expect(sockets.filter(({ destroyed }) => destroyed).length).toBe(1);
    for (const socket of sockets) socket.destroy();
  });
});
