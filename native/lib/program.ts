/** A loaded BPF program: pins, info, test runs, attachments. */
import { addon } from "./addon.js";
import {
  attachLink,
  attachTracepoint,
  type NetfilterOptions,
  type NetkitOptions,
  netfilterRequest,
  netkitRequest,
  type TcxOptions,
  tcxRequest,
  type XdpOptions,
  xdpRequest,
} from "./attach.js";
import type { AttachType, ProgramType } from "./enums.js";
import { ENOSPC } from "./errno.js";
import { BpfError } from "./error.js";
import { FdHandle, openPin } from "./handle.js";
import { fdById, fdByName } from "./ids.js";
import { type ProgramDetails, type ProgramInfo, readProgramDetails, readProgramInfo } from "./info.js";
import type { BpfLink } from "./link.js";

export interface TestRunOptions {
  /** The packet; at least 14 bytes for programs that see packets. */
  data?: Uint8Array;
  /** The context struct that the program starts with (`struct xdp_md`, `struct __sk_buff`, ...), host byte order. */
  context?: Uint8Array;
  /** How often to run; the duration is the mean. The data is what it became, from run to run. */
  repeat?: number;
  /** Room for the packet that comes out, in bytes; data's length and 256 if not given. */
  dataOutSize?: number;
  /** XDP only: really send the packets that the program transmits, redirects or passes. `repeat` is their number. */
  liveFrames?: boolean;
  /** Packets a batch with liveFrames, at most 256. */
  batchSize?: number;
  /** Raw tracepoint programs: the CPU to run on. */
  cpu?: number;
}

export interface TestRunResult {
  /** What the program returned. */
  retval: number;
  /** The packet as it came out. */
  data: Buffer;
  /** The context as it came out, when one went in. */
  context?: Buffer;
  /** Nanoseconds a run, the mean of all. */
  durationNs: number;
}

const TEST_RUN_ON_CPU = 1 << 0;
const TEST_XDP_LIVE_FRAMES = 1 << 1;

/** A loaded BPF program: test runs, attachments, pins. */
export class BpfProgram extends FdHandle {
  readonly #name: string;
  readonly #type: ProgramType;
  readonly #id: number;

  private constructor(fd: number, label: string, pinPath?: string) {
    super(fd, pinPath);
    this.#name = label;
    try {
      const info = readProgramInfo(fd, label);
      this.#name = info.name || label;
      this.#type = info.type;
      this.#id = info.id;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** @throws BpfError ENOENT when there is no such pin; EINVAL when the pin is not a program. */
  static openPinned(path: string): BpfProgram {
    return new BpfProgram(openPin("program", path), path, path);
  }

  static openById(id: number): BpfProgram {
    return new BpfProgram(fdById("prog", id), `program ${id}`);
  }

  /** By the kernel's name for it (at most 15 bytes). ENOENT when none or several have it. */
  static openByName(name: string): BpfProgram {
    return new BpfProgram(
      fdByName("prog", name, (fd) => readProgramInfo(fd, name).name),
      name,
    );
  }

  /** @internal Takes over a descriptor. */
  static fromFd(fd: number, label: string): BpfProgram {
    return new BpfProgram(fd, label);
  }

  /** A second handle of the same program, to be closed on its own. */
  clone(): BpfProgram {
    return new BpfProgram(this.duplicateFd(), this.#name);
  }

  protected override get label(): string {
    return `program ${this.#name}`;
  }

  /** The kernel's name: the function's, cut to 15 bytes. */
  get name(): string {
    return this.#name;
  }

  get type(): ProgramType {
    return this.#type;
  }

  get id(): number {
    return this.#id;
  }

  /** What the kernel says of the program, read anew. */
  get info(): ProgramInfo {
    return readProgramInfo(this.fd, this.label);
  }

  /** The instructions, machine code, functions and source lines that the kernel has of the program. */
  get details(): ProgramDetails {
    return readProgramDetails(this.fd, this.label);
  }

  /**
   * Runs the program on made-up input in the kernel. Signals wait until it has ended.
   * @throws BpfError EINVAL when data or context do not suit the program's type; ENOSPC when dataOutSize is too small; EINTR
   *   when the kernel has work for the thread between two repetitions (io_uring's, which libuv may use): what those before
   *   it did is done, and what they gave is lost. One run, and one batch of live frames, is never interrupted.
   */
  testRun(options: TestRunOptions = {}): TestRunResult {
    const { data, context, liveFrames = false, cpu } = options;
    const dataOut =
      liveFrames || data === undefined ? undefined : Buffer.alloc(options.dataOutSize ?? data.byteLength + 256);
    const contextOut = context === undefined || liveFrames ? undefined : Buffer.alloc(context.byteLength);
    const flags = (liveFrames ? TEST_XDP_LIVE_FRAMES : 0) | (cpu === undefined ? 0 : TEST_RUN_ON_CPU);
    const [rc, retval, durationNs, dataSize, contextSize] = addon.programTestRun(
      this.fd,
      data,
      dataOut,
      context,
      contextOut,
      options.repeat ?? 1,
      flags,
      cpu ?? 0,
      options.batchSize ?? 0,
    );
    if (rc < 0) {
      const reason = rc === -ENOSPC ? `the packet that came out has ${dataSize} bytes: raise dataOutSize` : undefined;
      throw new BpfError({ operation: "test run of", objectName: this.label, errno: rc, reason });
    }
    return {
      retval,
      durationNs,
      data: dataOut?.subarray(0, dataSize) ?? Buffer.alloc(0),
      ...(contextOut === undefined ? {} : { context: contextOut.subarray(0, contextSize) }),
    };
  }

  /**
   * Attaches to an interface's XDP hook by a link. Fails where something hangs already (EBUSY, or EEXIST for an XDP
   * program without a link): replace that by its own link.update().
   */
  attachXdp(options: XdpOptions): BpfLink {
    return attachLink(this.fd, xdpRequest(options), this.label);
  }

  /** Attaches to an interface's tcx hook; among others there, before or after the one named, or last. */
  attachTcx(options: TcxOptions): BpfLink {
    return attachLink(this.fd, tcxRequest(options), this.label);
  }

  /**
   * Attaches a tracing program (fentry, fexit, iter, LSM, BTF raw tracepoint) to what its section names.
   * @param attachType the program's own, as its specification has it: the kernel does not tell.
   */
  attachTracing(attachType: AttachType): BpfLink {
    const target = { flags: 0, relativeFd: 0, relativeId: 0, expectedRevision: 0n };
    return attachLink(this.fd, { ...target, ifindex: 0, attachType }, this.label);
  }

  /**
   * Attaches a netfilter program to a hook. Such a link cannot be updated: a successor takes another priority, and then this
   * one goes. EBUSY when another BPF program has the priority.
   */
  attachNetfilter(options: NetfilterOptions): BpfLink {
    return attachLink(this.fd, netfilterRequest(options), this.label);
  }

  /**
   * Attaches a raw tracepoint program to a tracepoint of the kernel. ENOENT when there is none of that name.
   * @param name without its subsystem, such as `neigh_create`
   */
  attachRawTracepoint(name: string): BpfLink {
    return attachTracepoint(this.fd, name, this.label);
  }

  /** Attaches to a netkit device, at its primary or peer side. */
  attachNetkit(options: NetkitOptions): BpfLink {
    return attachLink(this.fd, netkitRequest(options), this.label);
  }
}
