/** Runs a program under test behind the generator, which makes the packet anew each time. */
import type { BpfMap, BpfObject, BpfProgram } from "libbpf-ts";
import { load, u32 } from "./objects.js";

/** BENCH_HEADERS in bench/bpf/bench.h. */
const headerBytes = 96;

export interface Traffic {
  readonly frame: Buffer;
  /** Offset of the inner IP header. */
  readonly inner: number;
  /** A power of two. */
  readonly flows: number;
  /** The least of the flows' numbers. */
  readonly base?: number;
  /** The flow's number is in the destination, not in the source. */
  readonly replies?: boolean;
  /** A power of two: flows take turns with the GRE keys of so many tenants. */
  readonly tenants?: number;
  /** A power of two: flows take turns with so many tunnel endpoints, where they are taught. */
  readonly ends?: number;
}

export interface Run {
  readonly ns: number;
  readonly retval: number;
  readonly packet: Buffer;
}

export class Generator {
  readonly #object: BpfObject;
  readonly #program: BpfProgram;
  readonly #target: BpfMap;
  readonly state: BpfMap;

  constructor() {
    this.#object = load("bench-generator");
    this.#program = this.#object.program("generate");
    this.#target = this.#object.map("target");
    this.state = this.#object.map("bench");
  }

  aim(program: BpfProgram): void {
    this.#target.set(u32(0), u32(program.fd));
  }

  /** Also where the walk through the flows begins. */
  set(traffic: Traffic, number = 0): void {
    if (traffic.frame.length < headerBytes) throw new Error(`frames are at least ${headerBytes} bytes long`);
    const header = Buffer.alloc(headerBytes);
    traffic.frame.copy(header);
    const { frame, inner, flows, base = 0, replies = false, tenants = 1, ends = 1 } = traffic;
    const words = u32(number, flows - 1, frame.length, inner, replies ? 1 : 0, base, tenants - 1, ends - 1);
    this.state.set(u32(0), Buffer.concat([words, header]));
  }

  /** The number of the flow visited last. */
  get number(): number {
    return this.state.get(u32(0))?.readUInt32LE(0) ?? 0;
  }

  /**
   * Nanoseconds a packet, generator included, as the kernel has it: a whole number. The clock on the wall would count the
   * milliseconds that a test run takes to begin and end, and the time that others had the CPU.
   */
  run(traffic: Traffic, repeat: number, context?: Buffer): Run {
    const { retval, data, durationNs } = this.#program.testRun({
      data: traffic.frame,
      repeat,
      ...(context ? { context } : {}),
    });
    return { ns: durationNs, retval, packet: data };
  }

  /** Sends so many packets, by what the generator is aimed at: nanoseconds in all, and on the way as far as it is sent. */
  sendLive(traffic: Traffic, packets: number): number {
    const { durationNs } = this.#program.testRun({ data: traffic.frame, repeat: packets, liveFrames: true });
    return durationNs * packets;
  }

  close(): void {
    this.#object.close();
  }
}
