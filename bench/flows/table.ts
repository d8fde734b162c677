/** A gateway's pinned data path whose flow table is full, as far as it is made to be: by the program that moves flows. */
import { execFileSync } from "node:child_process";
import { BpfMap, interfaceIndex } from "libbpf-ts";
import { attach, detach } from "../../src/datapath/attachments.js";
import type { Constants } from "../../src/datapath/constants.js";
import { kernelNames, setEntries } from "../../src/datapath/entries.js";
import { flowBytes, flowOffsets, replyFlag } from "../../src/datapath/flow-table.js";
import { u32 } from "../../src/datapath/layout.js";
import { loadDatapath } from "../../src/datapath/load.js";
import { openMover, runOn } from "../../src/datapath/move.js";
import { fingerprintOf } from "../../src/datapath/objects.js";
import { Pins } from "../../src/datapath/pins.js";
import { templateStates } from "../../src/datapath/templates.js";
import { ticksNow } from "../../src/kernel/clock.js";
import { ipv4 } from "../frame.js";
import { u16 } from "../objects.js";

const device = "v0";
export const tenant = { name: "bench", id: 1, key: 1000 };
const gretap = 0;
const udp = 17;
/** Of each direction: where its packets leave to. */
const templates = { original: 1, reply: 2 } as const;
const [service, server] = [
  { address: ipv4("2.2.2.11"), port: 22 },
  { address: ipv4("10.0.0.7"), port: 2222 },
] as const;
const clientPort = 40_000;
/** Inner source address of connection 0. */
const firstClient = 0x0100_0000;
/** Lines of one test run: a page without the room that the kernel keeps. */
const atOnce = 48;

export class FullTable implements Disposable {
  readonly pins: Pins;
  readonly #constants: Constants;

  /** In a network namespace of its own. @param flows that the table is made for */
  constructor(instance: string, flows: number) {
    execFileSync("ip", ["link", "add", device, "type", "veth", "peer", "name", "v1"]);
    for (const name of [device, "v1"]) execFileSync("ip", ["link", "set", name, "up"]);
    this.pins = new Pins(instance);
    this.#constants = { underlayAddress: "172.168.0.1", netnsInode: 1, countsSessions: false, flows };
    const fingerprint = fingerprintOf(this.#constants);
    loadDatapath(this.pins, fingerprint, this.#constants);
    const { id, key } = tenant;
    const value = { id, zone: id, vrf: device, tunnel: device, routeTable: id, kind: "gretap", mtu: 1458 } as const;
    setEntries(this.pins, [{ map: "tenants", key, value: { ...value, hasPolicy: false } }], kernelNames);
    const xdp = { device, hook: "xdp", program: "xgw_xdp", fingerprint, mode: "native" } as const;
    attach(this.pins, `xdp_${device}`, xdp, undefined, kernelNames);
    for (const id of Object.values(templates)) this.#setTemplate(id);
  }

  #setTemplate(id: number): void {
    using encaps = BpfMap.openPinned(this.pins.map("encaps"));
    const value = Buffer.alloc(encaps.valueSize);
    u32(templateStates.ready, interfaceIndex(device), tenant.key).copy(value);
    value.set([gretap, 56], 12);
    u16(1458).copy(value, 14);
    u32(tenant.id).copy(value, 20);
    encaps.set(u32(id), value);
  }

  /** So many connections, each two lines. The n-th has counted n packets in each direction. */
  fill(connections: number): void {
    using mover = openMover(this.pins, this.#constants);
    const program = mover.program("xgw_move_flows");
    const [original, reply] = [lineOf("original"), lineOf("reply")];
    for (let first = 0; first < connections; first += atOnce / 2) {
      const count = Math.min(atOnce / 2, connections - first);
      const records = Buffer.alloc(2 * count * flowBytes);
      for (let n = 0; n < count; n++) {
        const at = 2 * n * flowBytes;
        original.copy(records, at);
        reply.copy(records, at + flowBytes);
        for (const place of [
          flowOffsets.keySaddr,
          flowOffsets.saddr,
          flowBytes + flowOffsets.keyDaddr,
          flowBytes + flowOffsets.daddr,
        ])
          records.writeUInt32BE(firstClient + first + n, at + place);
        for (const place of [0, flowBytes]) {
          u32(first + n, 100 * (first + n)).copy(records, at + place + flowOffsets.packets);
        }
      }
      const { added } = runOn(program, records, 2 * count);
      if (added !== 2 * count) throw new Error(`${added} of ${2 * count} flows found a place`);
    }
  }

  /** Each line has counted a packet more. */
  countOne(): void {
    using flows = BpfMap.openPinned(this.pins.map("flows"));
    for (const { keys, values, count } of flows.batches({ size: 1024 })) {
      const packets = new Uint32Array(values.buffer, values.byteOffset, values.length / 4);
      for (let word = flowOffsets.packets / 4; word < packets.length; word += flowBytes / 4)
        packets[word] = (packets[word] ?? 0) + 1;
      flows.setBatch(keys.subarray(0, count * flows.keySize), values.subarray(0, count * flows.valueStride));
    }
  }

  [Symbol.dispose](): void {
    for (const name of this.pins.links()) detach(this.pins, name);
    this.pins.removeAll();
  }
}

/** But for the client's address and the counts. */
function lineOf(direction: keyof typeof templates): Buffer {
  const line = Buffer.alloc(flowBytes);
  const isReply = direction === "reply";
  const put = (addresses: number, ports: number, port: number, other: { address: Buffer; port: number }) => {
    other.address.copy(line, addresses + (isReply ? 0 : 4));
    line.writeUInt16BE(isReply ? other.port : port, ports);
    line.writeUInt16BE(isReply ? port : other.port, ports + 2);
  };
  put(flowOffsets.keySaddr, flowOffsets.keyPorts, clientPort, isReply ? server : service);
  put(flowOffsets.saddr, flowOffsets.ports, clientPort, isReply ? service : server);
  u32(tenant.key).copy(line, flowOffsets.realm);
  line.set([udp, gretap, isReply ? replyFlag : 0], flowOffsets.protocol);
  u16(tenant.id).copy(line, flowOffsets.tenant);
  u16(templates[direction]).copy(line, flowOffsets.encap);
  u32(ticksNow()).copy(line, flowOffsets.checked);
  return line;
}
