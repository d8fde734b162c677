/**
 * `GET /metrics` on the address that the config names. Whoever may connect there, may not keep the daemon from its work: who ask
 * while a reading is under way get that one, there are few of them at a time, and none may take long. Nor may who comes early
 * keep others out: when there are too many, the one that has waited for the longest without a request gives way.
 */

import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import type { Config } from "../config/schema.js";
import { XgwError } from "../errors.js";
import type { Logger } from "../log.js";
import { metricsContentType } from "../metrics.js";

/** Prometheus servers, and people who look, at once. */
const maxConnections = 32;
/** From its first byte to its last, a request and its answer each, milliseconds. */
const requestMs = 10_000;

function remedyFor(code: string | undefined): string {
  if (code === "EADDRINUSE") return "stop what listens there (ss -ltnp), or give `metrics.listen` another port";
  if (code === "EADDRNOTAVAIL") return "give `metrics.listen` an address of this machine's";
  return "correct `metrics.listen` in the config";
}

export class MetricsServer {
  private server: Server | undefined;
  private listening = "";
  private reading: Promise<readonly Buffer[]> | undefined;
  /** Connections, the oldest first: those that wait for a request, and those that wait for an answer. */
  private readonly idle = new Set<Socket>();
  private readonly served = new Set<Socket>();

  /** @param answerMs how long whoever asks may take to hear the answer, milliseconds */
  constructor(
    private readonly read: () => Promise<readonly Buffer[]>,
    private readonly log: Logger,
    private readonly answerMs = requestMs,
  ) {}

  /** Listens where the config says, or nowhere. Where it cannot, that is logged and traffic goes on. */
  async follow({ metrics }: Pick<Config, "metrics">): Promise<void> {
    const wanted = metrics?.listen ?? "";
    if (wanted === this.listening) return;
    this.close();
    if (wanted === "") return;
    try {
      this.server = await this.listen(wanted);
      this.listening = wanted;
      this.log.info({ listen: wanted }, "metrics");
    } catch (cause) {
      const error = new XgwError(`metrics cannot listen on ${wanted}: ${(cause as Error).message}`, {
        remedy: remedyFor((cause as NodeJS.ErrnoException).code),
      });
      this.log.error({ ...error.toJSON() }, "no metrics");
    }
  }

  /** One reading for all who ask while it is under way. */
  private readOnce(): Promise<readonly Buffer[]> {
    this.reading ??= this.read().finally(() => {
      this.reading = undefined;
    });
    return this.reading;
  }

  private readonly answer: RequestListener = (request, response) => {
    request.resume(); // a body is nothing that anybody asked for
    this.serving(request.socket, response);
    if (request.url?.split("?")[0] !== "/metrics") return void response.writeHead(404).end("see /metrics\n");
    this.readOnce().then(
      (pieces) => {
        const slow = setTimeout(() => request.socket.destroy(), this.answerMs);
        response.on("close", () => clearTimeout(slow));
        response.writeHead(200, { "content-type": metricsContentType });
        Readable.from(pieces).pipe(response);
      },
      (error: Error) => response.writeHead(500).end(`${error.message}\n`),
    );
  };

  private readonly connected = (socket: Socket): void => {
    const [oldest] = [...this.idle, ...this.served];
    if (this.idle.size + this.served.size >= maxConnections) oldest?.destroy();
    this.idle.add(socket);
    socket.on("close", () => {
      this.idle.delete(socket);
      this.served.delete(socket);
    });
  };

  private serving(socket: Socket, response: ServerResponse): void {
    this.idle.delete(socket);
    this.served.add(socket);
    response.on("close", () => {
      this.served.delete(socket);
      if (!socket.destroyed) this.idle.add(socket);
    });
  }

  private listen(address: string): Promise<Server> {
    const at = address.lastIndexOf(":");
    const limits = { requestTimeout: requestMs, headersTimeout: requestMs, connectionsCheckingInterval: 1000 };
    const server = createServer(limits, this.answer);
    server.on("connection", this.connected);
    server.unref();
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(Number(address.slice(at + 1)), address.slice(0, at), () => resolve(server));
    });
  }

  close(): void {
    this.server?.close();
    this.server = undefined;
    this.listening = "";
  }
}
