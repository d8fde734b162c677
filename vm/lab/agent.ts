/**
 * A host's applications, but for those of udp.c: real clients and servers, run inside a host's network namespace and told
 * what to do by lines of JSON on standard input. Each request `{ id, do, ... }` is answered by one line `{ id, ... }`.
 */

import { createHash } from "node:crypto";
import dgram from "node:dgram";
import net from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { Config } from "../../src/config/schema.js";
import type { Desired } from "../../src/model/desired.js";

export interface Exchange {
  /** SHA-256 of what was sent and of what arrived, hex. */
  readonly sent: string;
  readonly received: string;
  readonly receivedBytes: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

const chunkSize = 65536;
const flowChunk = 1000;
let inForce: { readonly text: string; readonly config: Config; readonly desired: Desired } | undefined;
/** By the local port. */
const flows = new Map<number, FlowState>();
const servers = new Map<number, { result: Promise<Exchange>; close(): void }>();

/** A connection over which both sides send a little all the time, until it ends. */
export interface FlowState {
  receivedBytes: number;
  /** Why it ended; empty while it lives. */
  ended: string;
  close(): void;
}

function flow(socket: net.Socket): FlowState {
  const timer = setInterval(() => socket.write(Buffer.alloc(flowChunk)), 20);
  const state: FlowState = { receivedBytes: 0, ended: "", close: () => socket.destroy() };
  socket.on("data", (data: Buffer) => {
    state.receivedBytes += data.length;
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    state.ended = error.code ?? error.message;
  });
  socket.on("close", () => {
    clearInterval(timer);
    state.ended ||= "closed";
  });
  return state;
}

/** A block that no other seed or position makes. */
function block(seed: number, index: number, size: number): Buffer {
  const bytes = Buffer.alloc(size, seed & 0xff);
  bytes.writeUInt32BE(seed, 0);
  bytes.writeUInt32BE(index, 4);
  return bytes;
}

/**
 * Sends `bytes` made from the seed and reads as many, both at once, then closes. Both sides close at the end: a
 * connection that is half closed is the kernel's, and would be no measure of the fast path.
 */
async function exchange(socket: net.Socket, seed: number, bytes: number): Promise<Exchange> {
  const { remoteAddress = "", remotePort = 0 } = socket;
  const receivedHash = createHash("sha256");
  let receivedBytes = 0;
  const received = new Promise<void>((resolve, reject) => {
    socket.on("data", (data: Buffer) => {
      receivedHash.update(data);
      receivedBytes += data.length;
      if (receivedBytes >= bytes) resolve();
    });
    socket.on("end", resolve);
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("connection closed early")));
  });
  const sentHash = createHash("sha256");
  const send = async () => {
    for (let at = 0, index = 0; at < bytes; at += chunkSize, index++) {
      const data = block(seed, index, Math.max(8, Math.min(chunkSize, bytes - at)));
      sentHash.update(data);
      if (!socket.write(data)) await new Promise((resolve) => socket.once("drain", resolve));
    }
  };
  await Promise.all([received, send()]);
  await new Promise<void>((resolve) => socket.end(resolve));
  return {
    sent: sentHash.digest("hex"),
    received: receivedHash.digest("hex"),
    receivedBytes,
    remoteAddress,
    remotePort,
  };
}

interface Request {
  readonly id: number;
  readonly do: string;
  readonly port: number;
  readonly host: string;
  readonly localPort?: number;
  readonly localAddress?: string;
  readonly seed: number;
  readonly bytes: number;
  readonly timeoutMs: number;
  readonly count: number;
  readonly perSecond: number;
  readonly configFile: string;
}

const actions: Record<string, (request: Request) => Promise<object>> = {
  /** Listens for one exchange on a TCP port. */
  async serveTcp({ port, seed, bytes }) {
    const server = net.createServer({ allowHalfOpen: true });
    const result = new Promise<Exchange>((resolve, reject) => {
      server.once("connection", (socket) => exchange(socket, seed, bytes).then(resolve, reject));
    });
    result.catch(() => {}); // looked at by tcpServed
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, resolve);
    });
    servers.set(port, { result, close: () => server.close() });
    return {};
  },

  /** Waits for what serveTcp's connection came to. */
  async tcpServed({ port }) {
    const server = servers.get(port);
    if (!server) throw new Error(`nothing listens on TCP port ${port}`);
    return server.result;
  },

  async connectTcp({ host, port, localAddress, localPort, seed, bytes, timeoutMs }) {
    const from = { ...(localPort ? { localPort } : {}), ...(localAddress ? { localAddress } : {}) };
    const socket = net.connect({ host, port, allowHalfOpen: true, ...from });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        socket.destroy();
        reject(new Error("timeout"));
      }, timeoutMs);
      socket.once("error", (error: NodeJS.ErrnoException) => {
        clearTimeout(timer);
        reject(new Error(error.code ?? error.message));
      });
      socket.once("connect", () => {
        clearTimeout(timer);
        resolve();
      });
    });
    return exchange(socket, seed, bytes);
  },

  /** Takes one connection after the other to a flow; the last one counts. */
  async serveFlow({ port }) {
    const server = net.createServer((socket) => flows.set(port, flow(socket)));
    await new Promise<void>((resolve) => server.listen(port, resolve));
    servers.set(port, {
      result: Promise.reject(new Error("a flow has no result")),
      close: () => server.close(),
    });
    servers.get(port)?.result.catch(() => {});
    return {};
  },

  async startFlow({ host, port, localPort = 0, timeoutMs }) {
    const socket = net.connect({ host, port, localPort });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => socket.destroy(new Error("timeout")), timeoutMs);
      socket.once("error", reject);
      socket.once("connect", () => {
        clearTimeout(timer);
        resolve();
      });
    });
    flows.set(localPort, flow(socket));
    return {};
  },

  async flowState({ port }) {
    const { receivedBytes = 0, ended = "none" } = flows.get(port) ?? {};
    return { receivedBytes, ended };
  },

  async endFlow({ port }) {
    flows.get(port)?.close();
    flows.delete(port);
    return {};
  },

  /** Begins connections at a steady pace: a datagram each, from a port of its own that stays open until the last. */
  async floodUdp({ host, port, count, perSecond }) {
    const sockets: dgram.Socket[] = [];
    const started = performance.now();
    while (sockets.length < count) {
      const due = Math.min(count, ((performance.now() - started) / 1000) * perSecond);
      while (sockets.length < due) {
        const socket = dgram.createSocket("udp4");
        sockets.push(socket);
        socket.send("new", port, host);
      }
      await sleep(10);
    }
    const tookMs = performance.now() - started;
    await sleep(500); // for the last to arrive
    for (const socket of sockets) socket.close();
    return { sent: count, tookMs };
  },

  /** What `xgw status -j` prints, without the start of a program each time. */
  async status({ configFile }) {
    const { loadConfig } = await import("../../src/config/load.js");
    const { readStatus } = await import("../../src/status.js");
    const { config } = await loadConfig(configFile);
    return readStatus(config);
  },

  /** The counters of it alone, which is quicker: what the config is made into is worked out once for each text of it. */
  async counted({ configFile }) {
    const [{ loadConfig }, { readCounted }, { plan }, { readFile }] = await Promise.all([
      import("../../src/config/load.js"),
      import("../../src/status.js"),
      import("../../src/gateway.js"),
      import("node:fs/promises"),
    ]);
    const text = await readFile(configFile, "utf8");
    if (inForce?.text !== text) {
      const { config } = await loadConfig(configFile);
      inForce = { text, config, desired: (await plan(config)).desired };
    }
    return readCounted(inForce.desired, inForce.config.tenants);
  },

  async close({ port }) {
    servers.get(port)?.close();
    servers.delete(port);
    return {};
  },
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const request = JSON.parse(line) as Request;
    const answer = (body: object) => process.stdout.write(`${JSON.stringify({ id: request.id, ...body })}\n`);
    const action = actions[request.do];
    if (action) action(request).then(answer, (error: Error) => answer({ error: error.message }));
    else answer({ error: `no action ${request.do}` });
  })
  .on("close", () => process.exit(0));
process.stdout.write(`${JSON.stringify({ id: 0 })}\n`);
