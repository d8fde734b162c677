/**
 * The far end of a cable to the gateway, in raw frames: any frame can be put on it, and whatever comes out of it is kept,
 * byte for byte. The gateway's NIC cannot tell it from a wire with hosts on it; native XDP on the NIC sees every frame.
 *
 *     await cable(gatewayNamespace, "eth0", wireNamespace, "wire0"); // or any veth pair with the same settings
 *     using wire = Wire.open({ netns: wireNamespace.path, device: "wire0" });
 *     const left = wire.ask(frame); // what the gateway sent in answer: the frames, in their order
 *
 * The frames' own builders are in test/bpf/support/packet.ts. Works on any kernel with BPF, in the VM or outside.
 *
 * The kernel carries a frame to the NIC, up the stack, and what follows from it back to this end within the call of
 * send(), as softirqs of the CPU that called; only where they take long does a kernel thread finish them later, which is
 * what `settled()` waits for. What waits for somebody's answer, such as ARP's, is not waited for.
 */

import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type BpfLink, BpfObject, type BpfProgram, inNetNamespace, interfaceIndex, RingBuffer } from "libbpf-ts";
import type { Namespace } from "./netns.js";
import { softirqsAreBusy } from "./softirqs.js";

/** Seen from the compiled module, and from its source, which a test imports. */
const objectFile = ["../../bpf/", "../../dist/bpf/"]
  .map((folder) => fileURLToPath(new URL(`${folder}test-wire.bpf.o`, import.meta.url)))
  .find((file) => existsSync(file));

/** Offsets in `struct __sk_buff` (linux/bpf.h), and room for the struct; the kernel wants zeros behind it. */
const ifindexOffset = 40;
const cbOffset = 48;
const contextBytes = 256;
const etherTypeOffset = 12;
/** IEEE 802, local experimental EtherType 1. */
const experimentalType = 0x88b5;
/** `enum xdp_action` */
const xdpPass = 2;
const xdpDrop = 1;

export interface WireOptions {
  /** Path of the network namespace that the far end is in; the process's own when missing. */
  readonly netns?: string;
  /** The device at the far end; nothing else may run XDP on it. */
  readonly device: string;
  /** Whether frames also go on to the far end's stack, where hosts live behind it. They end here when missing. */
  readonly onward?: boolean;
}

type Within = <T>(work: () => T extends PromiseLike<unknown> ? never : T) => T;

export class Wire implements Disposable {
  private readonly context = Buffer.alloc(contextBytes);

  private constructor(
    private readonly within: Within,
    ifindex: number,
    private readonly object: BpfObject,
    private readonly sender: BpfProgram,
    private readonly link: BpfLink,
    private readonly ring: RingBuffer,
  ) {
    this.context.writeUInt32LE(ifindex, ifindexOffset);
  }

  static open({ netns, device, onward = false }: WireOptions): Wire {
    const within: Within = (work) => (netns === undefined ? work() : inNetNamespace(netns, work)) as never;
    if (objectFile === undefined) throw new Error("test-wire.bpf.o has not been built: run `npm run build:bpf`");
    const object = BpfObject.open(objectFile)
      .setVariable("onward", onward ? xdpPass : xdpDrop)
      .load();
    try {
      const ifindex = within(() => interfaceIndex(device));
      const link = within(() => object.program("wire_copy").attachXdp({ ifindex, mode: "native" }));
      const ring = new RingBuffer(object.map("seen"));
      return new Wire(within, ifindex, object, object.program("wire_send"), link, ring);
    } catch (error) {
      object.close();
      throw error;
    }
  }

  /**
   * Puts one frame on the cable, from its destination MAC on and without the checksum at its end: 15 to 3,600 bytes, of
   * which the NIC takes as many as its MTU allows.
   */
  send(frame: Uint8Array): void {
    const data = Buffer.from(frame);
    data.copy(this.context, cbOffset, etherTypeOffset, etherTypeOffset + 2);
    data.writeUInt16BE(experimentalType, etherTypeOffset);
    const { retval } = this.within(() => this.sender.testRun({ data, context: this.context }));
    if (retval !== 0) throw new Error(`the cable did not take a frame of ${frame.byteLength} bytes`);
  }

  /** What has come out of the cable since the last look. */
  take(): Buffer[] {
    const frames = this.ring.take(4096);
    // Only what is full loses something; looking costs many times what taking does.
    if (frames.length > 0 && this.lost > 0) throw new Error(`${this.lost} frames were lost: take them more often`);
    return frames;
  }

  /** Sends one frame, and gives what had come out of the cable when the kernel was done with it. */
  ask(frame: Uint8Array): Buffer[] {
    this.send(frame);
    return this.take();
  }

  /** What comes out of the cable until the kernel is done. */
  async settled(quietMs = 20): Promise<Buffer[]> {
    const frames = this.take();
    for (let more: Buffer[] | undefined; ; frames.push(...more)) {
      more = await this.more(quietMs);
      if (!more) return frames;
    }
  }

  /**
   * What comes out of the cable in a while; undefined when nothing has, and the kernel is done. That nothing comes says little
   * by itself: on a busy machine a kernel thread may have frames in hand, and wait for the CPU longer than anybody here does.
   */
  async more(quietMs = 20): Promise<Buffer[] | undefined> {
    await sleep(quietMs);
    const isBusy = softirqsAreBusy(); // before the look: what is done by now is seen by it
    const frames = this.take();
    return frames.length > 0 || isBusy ? frames : undefined;
  }

  private get lost(): number {
    return this.object.getVariable("lost").readUInt32LE(0);
  }

  [Symbol.dispose](): void {
    this.ring.close();
    this.link.close();
    this.object.close();
  }
}

/**
 * A cable between a NIC of the gateway and the far end. Every frame is a packet as on a wire: nothing is merged on the way
 * in, no checksum is half made, no VLAN tag lies beside the packet.
 */
export async function cable(
  gateway: Pick<Namespace, "ip" | "run">,
  nic: string,
  far: Namespace,
  device: string,
): Promise<void> {
  await gateway.ip(`link add ${nic} type veth peer name ${device} netns ${far.name}`);
  const features = [
    "tx",
    "gro",
    "tso",
    "gso",
    "txvlan",
    "rxvlan",
    "tx-vlan-stag-hw-insert",
    "rx-vlan-stag-hw-parse",
    "sg",
  ];
  const offloads = features.flatMap((feature) => [feature, "off"]);
  await gateway.run("ethtool", "-K", nic, ...offloads);
  await far.run("ethtool", "-K", device, ...offloads);
  await far.ip(`link set ${device} up`);
  await gateway.ip(`link set ${nic} up`);
}
