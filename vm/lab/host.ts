/** A host of the lab with its applications: the agent and the UDP programs that run in the host's namespace. */

import type { Counted, Status } from "../../src/status.js";
import { built } from "../root.js";
import type { Exchange, FlowState } from "./agent.js";
import { AnsweringChild } from "./answering.js";
import type { Namespace } from "./netns.js";
import { Udp } from "./udp.js";

const agentFile = built("vm/lab/agent.js");

export interface StreamResult {
  readonly sent: number;
  readonly received: number;
  readonly reordered: number;
  /** The first numbers that never came back. */
  readonly missing: readonly number[];
}

interface Transfer {
  readonly host: string;
  readonly port: number;
  readonly localPort?: number;
  readonly localAddress?: string;
  readonly seed: number;
  readonly bytes: number;
  /** For the connection to open. */
  readonly timeoutMs?: number;
}

export class Host {
  private readonly agent: AnsweringChild;
  /** By their port. */
  private readonly echoes = new Map<number, Udp>();
  private readonly streams = new Set<Udp>();

  constructor(readonly namespace: Namespace) {
    this.agent = new AnsweringChild(namespace.spawn([process.execPath, agentFile]), namespace.name);
  }

  private async ask(action: string, request: object): Promise<never> {
    const answer = await this.agent.ask({ do: action, ...request });
    if (typeof answer.error === "string") throw new Error(answer.error);
    return answer as never;
  }

  serveTcp(request: { port: number; seed: number; bytes: number }): Promise<void> {
    return this.ask("serveTcp", request);
  }

  tcpServed(port: number): Promise<Exchange> {
    return this.ask("tcpServed", { port });
  }

  connectTcp(request: Transfer): Promise<Exchange> {
    return this.ask("connectTcp", { timeoutMs: 10_000, ...request });
  }

  serveFlow(port: number): Promise<void> {
    return this.ask("serveFlow", { port });
  }

  /** Opens a connection over which both sides send all the time. */
  startFlow(request: { host: string; port: number; localPort: number; timeoutMs?: number }): Promise<void> {
    return this.ask("startFlow", { timeoutMs: 10_000, ...request });
  }

  /** @param port the local one */
  flowState(port: number): Promise<Pick<FlowState, "receivedBytes" | "ended">> {
    return this.ask("flowState", { port });
  }

  endFlow(port: number): Promise<void> {
    return this.ask("endFlow", { port });
  }

  /** Answers each datagram with itself. */
  async serveUdp(port: number): Promise<void> {
    const echo = new Udp(this.namespace, "echo", port);
    await echo.read();
    this.echoes.set(port, echo);
  }

  /** How many datagrams there were, and who sent the last one. */
  udpServed(port: number): Promise<{ received: number; remoteAddress: string }> {
    const echo = this.echoes.get(port);
    if (!echo) throw new Error(`nothing listens on UDP port ${port}`);
    return echo.ask();
  }

  /** Sends numbered datagrams at a steady pace to an echo. */
  async streamUdp(request: {
    host: string;
    port: number;
    localPort?: number;
    count: number;
    intervalMs: number;
    bytes: number;
  }): Promise<StreamResult> {
    const { host, port, localPort = 0, count, intervalMs, bytes } = request;
    const stream = new Udp(this.namespace, "stream", host, port, localPort, count, intervalMs * 1000, bytes);
    this.streams.add(stream);
    try {
      return await stream.read();
    } finally {
      this.streams.delete(stream);
    }
  }

  /** Ends streamUdp before its count is reached. */
  stopStream(): void {
    for (const stream of this.streams) void stream.end();
  }

  floodUdp(request: {
    host: string;
    port: number;
    count: number;
    perSecond: number;
  }): Promise<{ sent: number; tookMs: number }> {
    return this.ask("floodUdp", request);
  }

  /** In the gateway's namespace only. */
  status(configFile: string): Promise<Status> {
    return this.ask("status", { configFile });
  }

  /** In the gateway's namespace only, with a config that is in force. */
  counted(configFile: string): Promise<Counted> {
    return this.ask("counted", { configFile });
  }

  async close(port: number): Promise<void> {
    await this.echoes.get(port)?.end();
    this.echoes.delete(port);
    await this.ask("close", { port });
  }

  /** Echo requests that were answered, of `count`. */
  async ping(address: string, count = 3, from?: string): Promise<number> {
    const source = from === undefined ? [] : ["-I", from];
    const options = ["-n", "-c", `${count}`, "-i", "0.2", "-W", "2", ...source];
    const { stdout } = await this.namespace.tryRun("ping", ...options, address);
    return Number(/(\d+) received/.exec(stdout)?.[1] ?? 0);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.echoes.values(), ...this.streams].map((program) => program.kill()));
    await this.agent.stop();
  }
}
