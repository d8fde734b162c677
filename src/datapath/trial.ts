/**
 * What XDP would do with a packet, found by running its own program on it, and nothing moves: the program in force is
 * loaded once more, with the constants that it has and the maps that it reads, and everything that it writes to is a
 * small map of the trial's own. The one flow that the packet may meet is looked up, with its template, and put there.
 */

import { BpfLink, BpfMap, type BpfObject, BpfProgram } from "libbpf-ts";
import { XgwError } from "../errors.js";
import { formatAddress } from "../model/ipv4.js";
import { type ExaminedPacket, isYes, readExamined } from "./examined.js";
import { FlowMemory } from "./flow-memory.js";
import { bucketBytes, flowBytes, flowOffsets } from "./flow-table.js";
import { keyOf } from "./flow-view.js";
import { addressBytes, readU16, readU32, readU64, u32 } from "./layout.js";
import { openFile } from "./objects.js";
import type { Pins } from "./pins.js";
import { mapNameLength } from "./programs.js";
import { reasonSlots, reasons } from "./reasons.js";

/** What the programs of XDP return: enum xdp_action. */
const actions = ["aborted", "drop", "pass", "tx", "redirect"] as const;
export type TrialAction = (typeof actions)[number];

export interface Trial {
  readonly action: TrialAction;
  /** A name of `reasons`; `forwarded` for what XDP sends. */
  readonly reason: string;
  /** Id of the tenant whose it is; 0: nobody's. */
  readonly tenant: number;
  /** The packet as XDP leaves it. */
  readonly frame: Buffer;
  readonly examined: ExaminedPacket;
  /** Its flow, if there is one: 64 bytes of struct xgw_flow; and its place in the flow table. */
  readonly flow?: { readonly line: number; readonly copy: Buffer };
}

/** Maps that XDP writes to, and what the trial has in their place: so many entries, or all where it does not say. */
const written: Readonly<Record<string, number | undefined>> = {
  ...{ denials: 1, encaps: 1, event_usage: 1, events: 4096, flow_locks: 1, flow_usage: 1, flows: 1, losses: 1 },
  ...{ reason_stats: 8, refusals: 1, rule_stats: 1, buckets: undefined, stale_neighbours: undefined },
};

/** Runs packets by the program in force, one after the other. */
export class XdpTrial implements Disposable {
  /** Of the program, by name as bpf/lib/config.h has them. */
  readonly constants: ReadonlyMap<string, Buffer>;
  readonly #live: ReadonlyMap<string, BpfMap>;
  readonly #xdp: BpfObject;
  readonly #examiner: BpfObject;
  readonly #memory: FlowMemory;
  /** Where a flow lies in the trial's table of one bucket. */
  readonly #own: FlowMemory;

  /**
   * @param program of XDP, as it is attached
   * @throws XgwError when it is another version's
   */
  constructor(program: BpfProgram) {
    this.#live = mapsOf(program);
    const constants = this.#constants();
    this.constants = constants;
    this.#xdp = openFile("xdp.bpf.o");
    for (const { name, autocreate } of this.#xdp.maps.filter(({ internal }) => !internal))
      if (autocreate) this.#place(this.#xdp, name);
    this.#xdp.setMapType("reason_stats", "hash"); // of one tenant: the whole map has room for all, on each CPU
    setConstants(this.#xdp, constants);
    this.#xdp.load();
    this.#checkVersion(program);
    this.#examiner = openFile("examine.bpf.o");
    for (const { name } of this.#examiner.maps.filter(({ internal }) => !internal))
      if (name !== "examined") this.#share(name);
    setConstants(this.#examiner, constants);
    this.#examiner.load();
    const seed = constants.get("flow_seed") ?? Buffer.alloc(8);
    this.#memory = new FlowMemory(this.#map("flows"), seed);
    this.#own = new FlowMemory(this.#xdp.map("flows"), seed);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  close(): void {
    this.#examiner.close();
    this.#xdp.close();
    for (const map of this.#live.values()) map.close();
  }

  /** Values of the program's global constants, by name. */
  #constants(): Map<string, Buffer> {
    using object = openFile("xdp.bpf.o");
    const section = this.#map(".rodata").get(u32(0)) ?? Buffer.alloc(0);
    const constants = object.variables.filter(({ section: name }) => name === ".rodata");
    if (constants.some(({ offset, size }) => offset + size > section.length)) throw otherVersion();
    const values = new Map(constants.map(({ name, offset, size }) => [name, section.subarray(offset, offset + size)]));
    return values.set("flow_buckets", u32(1));
  }

  /** The trial's own map, the one in force, or none where the program has no use for it. */
  #place(object: BpfObject, name: string): void {
    const live = this.#live.get(name);
    if (!live) object.setAutocreate(name, false);
    else if (!(name in written)) object.reuseMap(name, live);
    else if (written[name] !== undefined) object.resizeMap(name, written[name]);
  }

  #share(name: string): void {
    const live = this.#live.get(name);
    if (!live) this.#examiner.setAutocreate(name, false);
    else if (!(name in written)) this.#examiner.reuseMap(name, live);
    else if (name === "reason_stats") this.#examiner.setAutocreate(name, false);
    else this.#examiner.reuseMap(name, this.#xdp.map(name));
  }

  #checkVersion(program: BpfProgram): void {
    if (this.#xdp.program("xgw_xdp").info.tag !== program.info.tag) throw otherVersion();
  }

  #map(name: string): BpfMap {
    const map = this.#live.get(name);
    if (!map) throw otherVersion();
    return map;
  }

  /**
   * @param frame as it arrives, with its Ethernet header
   * @param ifindex of the device that it arrives by; of a bond's member in the place of the bond
   */
  run(frame: Buffer, ifindex: number): Trial {
    this.#clear();
    const first = this.#examine(frame, ifindex);
    this.#countFor(first.tenant);
    const flow = first.parsed === "forwarded" ? this.#findFlow(first) : undefined;
    const examined = flow || first.tenant !== 0 ? this.#prepare(frame, ifindex, first, flow?.copy) : first;
    const { retval, data } = this.#xdp.program("xgw_xdp").testRun({ data: frame, context: context(frame, ifindex) });
    const action = actions[retval] ?? "aborted";
    const counted = this.#counted();
    return {
      action,
      reason: counted?.reason ?? "forwarded",
      tenant: counted?.tenant ?? first.tenant,
      frame: data,
      examined,
      ...(flow ? { flow } : {}),
    };
  }

  #examine(frame: Buffer, ifindex: number): ExaminedPacket {
    this.#examiner.program("xgw_examine").testRun({ data: frame, context: context(frame, ifindex) });
    return readExamined(this.#examiner.map("examined").get(u32(0)) ?? Buffer.alloc(0));
  }

  #clear(): void {
    const { reason_stats, stale_neighbours } = this.#ownMaps();
    for (const map of [reason_stats, stale_neighbours]) for (const key of [...map.keys()]) map.delete(key);
    this.#xdp.map("flows").set(u32(0), Buffer.alloc(bucketBytes));
    this.#countFor(0);
  }

  #ownMaps() {
    const [reason_stats, stale_neighbours] = ["reason_stats", "stale_neighbours"].map((name) => this.#xdp.map(name));
    return { reason_stats, stale_neighbours } as Record<"reason_stats" | "stale_neighbours", BpfMap>;
  }

  #countFor(tenant: number): void {
    const { reason_stats } = this.#ownMaps();
    reason_stats.set(u32(tenant), Buffer.alloc(reason_stats.valueSize));
  }

  /** The one count that there is; none of what XDP sends. */
  #counted(): { readonly tenant: number; readonly reason: string } | undefined {
    for (const [key, value] of this.#ownMaps().reason_stats.entries())
      for (let at = 0; at < reasonSlots; at++)
        if (readU64(value, at * 16) !== 0n)
          return { tenant: readU32(key, 0), reason: reasons[at]?.name ?? `reason ${at}` };
    return undefined;
  }

  #findFlow({ keyBytes }: ExaminedPacket): Trial["flow"] {
    const [realm, protocol, wrap] = [readU32(keyBytes, 3), keyBytes[16] ?? 0, keyBytes[17] ?? 0];
    const line = this.#memory.find(keyOf(keyBytes, realm, protocol, wrap));
    const copy = Buffer.alloc(flowBytes);
    return line >= 0 && this.#memory.copy(line, copy) ? { line, copy } : undefined;
  }

  /** Puts there what the program may meet, and examines the packet beside it. */
  #prepare(frame: Buffer, ifindex: number, first: ExaminedPacket, flow: Buffer | undefined): ExaminedPacket {
    for (const id of [0, first.tenant]) {
      const bucket = this.#map("buckets").get(u32(id));
      if (bucket) this.#xdp.map("buckets").set(u32(id), bucket);
    }
    if (!flow) return this.#examine(frame, ifindex);
    const template = this.#map("encaps").get(u32(readU16(flow, flowOffsets.encap)));
    if (template) this.#xdp.map("encaps").set(u32(0), template);
    this.#putFlow(first, flow, readU32(flow, flowOffsets.checked / 4));
    const examined = this.#examine(frame, ifindex);
    this.#copyStale(examined.wayIfindex, examined.wayNextHop);
    this.#copyStale(examined.wayTunnel, formatAddress(flow.readUInt32BE(flowOffsets.daddr)));
    // A flow that is due renews its connection in conntrack. Where there is one to be renewed, the question is spared.
    if (isYes(examined.isDue) && isYes(examined.lives) && !isYes(examined.hasMoved))
      this.#putFlow(first, flow, examined.now);
    return examined;
  }

  /** In its home of the one bucket, with the one template. */
  #putFlow({ keyBytes }: ExaminedPacket, flow: Buffer, checked: number): void {
    const [realm, protocol, wrap] = [readU32(keyBytes, 3), keyBytes[16] ?? 0, keyBytes[17] ?? 0];
    const { way } = this.#own.home(keyOf(keyBytes, realm, protocol, wrap));
    const line = Buffer.from(flow);
    line[flowOffsets.reach] = 0;
    u32(checked).copy(line, flowOffsets.checked);
    line.fill(0, flowOffsets.encap, flowOffsets.encap + 2);
    const bucket = Buffer.alloc(bucketBytes);
    line.copy(bucket, way * flowBytes);
    this.#xdp.map("flows").set(u32(0), bucket);
  }

  #copyStale(ifindex: number, address: string): void {
    const key = Buffer.concat([u32(ifindex), addressBytes(address)]);
    const value = this.#map("stale_neighbours").get(key);
    if (value) this.#ownMaps().stale_neighbours.set(key, value);
  }
}

/** struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex. */
const context = (frame: Buffer, ifindex: number): Buffer => u32(0, frame.length, 0, ifindex, 0, 0);

const otherVersion = () =>
  new XgwError("the programs on the NICs are another version's", {
    remedy: "explain with the xgw that is running, or run `xgw apply` with this one",
  });

/** By xgw's names, of which the kernel keeps a part; the constants as `.rodata`. */
function mapsOf(program: BpfProgram): Map<string, BpfMap> {
  using object = openFile("xdp.bpf.o");
  const names = object.maps.filter(({ internal }) => !internal).map(({ name }) => name);
  const maps = new Map<string, BpfMap>();
  for (const id of program.info.mapIds) {
    const map = BpfMap.openById(id);
    const known = names.find((name) => name.slice(0, mapNameLength) === map.name);
    const name = known ?? (map.name.endsWith(".rodata") ? ".rodata" : undefined);
    if (name === undefined || maps.has(name)) map.close();
    else maps.set(name, map);
  }
  return maps;
}

function setConstants(object: BpfObject, constants: ReadonlyMap<string, Buffer>): void {
  for (const { name, section } of object.variables) {
    const value = constants.get(name);
    if (section === ".rodata" && value) object.setVariable(name, value);
  }
}

/** The NICs that XDP runs on, as its links say, each with the id of its program. */
export function xdpLinks(pins: Pins): { readonly ifindex: number; readonly progId: number }[] {
  return pins
    .links()
    .filter((name) => name.startsWith("xdp_"))
    .flatMap((name) => {
      using link = BpfLink.openPinned(pins.link(name));
      const { ifindex = 0, progId } = link.info;
      return ifindex === 0 ? [] : [{ ifindex, progId }];
    });
}

/** @throws XgwError where XDP runs on no NIC, or as another version's */
export function openTrial(pins: Pins): XdpTrial {
  const [first] = xdpLinks(pins);
  if (!first)
    throw new XgwError(`XDP of instance ${pins.instance} runs on no NIC`, { remedy: "run `xgw apply` first" });
  using program = BpfProgram.openById(first.progId);
  return new XdpTrial(program);
}
