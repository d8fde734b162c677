/** `GET /metrics` on the address that the config names. */

import { createServer, type Server } from "node:http";
import type { Config } from "../config/schema.js";
import { XgwError } from "../errors.js";
import type { Logger } from "../log.js";
import { metricsContentType } from "../metrics.js";

export class MetricsServer {
  private server: Server | undefined;
  private listening = "";

  constructor(
    private readonly read: () => Promise<string>,
    private readonly log: Logger,
  ) {}

  /** Listens where the config says, or nowhere. Where it cannot, that is logged and traffic goes on. */
  async follow({ metrics }: Config): Promise<void> {
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
        remedy: "correct `metrics.listen` in the config",
      });
      this.log.error({ ...error.toJSON() }, "no metrics");
    }
  }

  private listen(address: string): Promise<Server> {
    const at = address.lastIndexOf(":");
    const server = createServer((request, response) => {
      if (request.url?.split("?")[0] !== "/metrics") return void response.writeHead(404).end("see /metrics\n");
      this.read().then(
        (text) => response.writeHead(200, { "content-type": metricsContentType }).end(text),
        (error: Error) => response.writeHead(500).end(`${error.message}\n`),
      );
    });
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
