/** A host of the lab with its applications: asks the agent that runs in the host's namespace. */

import type { Counted, Status } from "../../src/status.js";
import { built } from "../root.js";
import type { Exchange, FlowState } from "./agent.js";
import { AnsweringChild } from "./answering.js";
import type { Namespace } from "./netns.js";

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

  serveUdp(port: number): Promise<void> {
    return this.ask("serveUdp", { port });
  }

  udpServed(port: number): Promise<Exchange> {
    return this.ask("udpServed", { port });
  }

  streamUdp(request: {
    host: string;
    port: number;
    localPort?: number;
    count: number;
    intervalMs: number;
    bytes: number;
  }): Promise<StreamResult> {
    return this.ask("streamUdp", request);
  }

  floodUdp(request: {
    host: string;
    port: number;
    count: number;
    perSecond: number;
  }): Promise<{ sent: number; tookMs: number }> {
    return this.ask("floodUdp", request);
  }

  /** Ends streamUdp before its count is reached. */
  stopStream(): Promise<void> {
    return this.ask("stopStream", {});
  }

  /** In the gateway's namespace only. */
  status(configFile: string): Promise<Status> {
    return this.ask("status", { configFile });
  }

  /** In the gateway's namespace only, with a config that is in force. */
  counted(configFile: string): Promise<Counted> {
    return this.ask("counted", { configFile });
  }

  close(port: number): Promise<void> {
    return this.ask("close", { port });
  }

  /** Echo requests that were answered, of `count`. */
  async ping(address: string, count = 3, from?: string): Promise<number> {
    const source = from === undefined ? [] : ["-I", from];
    const options = ["-n", "-c", `${count}`, "-i", "0.2", "-W", "2", ...source];
    const { stdout } = await this.namespace.tryRun("ping", ...options, address);
    return Number(/(\d+) received/.exec(stdout)?.[1] ?? 0);
  }

  stop(): Promise<void> {
    return this.agent.stop();
  }
}
