/** The pinned data path of a gateway with two tenants on a veth, to be looked at by the command: flows are taught as they are moved. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BpfMap, type BpfObject, type Btf, type Codec, codecOf, inNetNamespace, layoutOf, TypedMap } from "libbpf-ts";
import { afterAll } from "vitest";
import { addressBytes, u32 } from "../../../src/datapath/layout.js";
import { type Limits, noLimits } from "../../../src/model/shares.js";
import type { Entry } from "../../../src/plan/state.js";
import { exampleText } from "../../unit/plan/fixture.js";
import { datapathModules } from "./built.js";
import { underlayAddress } from "./datapath.js";
import { makeNamespace, type Namespace } from "./kernel.js";
import type { Encap, Flow } from "./types.js";
import { type Direction, type TestConnection, type TestTenant, user1, user2 } from "./world.js";

const main = fileURLToPath(new URL("../../../dist/xgw/lib/main.js", import.meta.url));
const here = datapathModules;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The example's tenants, as the config has them, in the zones of the tests. */
const tenants: readonly TestTenant[] = [user1, user2];

export class FlowGateway {
  readonly namespace: Namespace = makeNamespace();
  readonly pins: InstanceType<typeof here.pins.Pins>;
  readonly config: string;
  readonly nic: number;
  readonly #folder = mkdtempSync(join(tmpdir(), "xgw-flow-"));
  readonly #constants;
  #encaps = 0;

  private constructor(instance: string, text: string, flows: number) {
    this.pins = new here.pins.Pins(instance);
    [this.nic] = this.namespace.veth;
    this.#constants = { underlayAddress, netnsInode: 1, countsSessions: false, flows };
    this.config = join(this.#folder, "xgw.yaml");
    writeFileSync(this.config, text);
  }

  /** @param flows that the table is made for */
  static async make(flows: number): Promise<FlowGateway> {
    const instance = `flow${process.pid}`;
    const text = await exampleText(["instance: gw1", `instance: ${instance}`]);
    const gateway = new FlowGateway(instance, text, flows);
    gateway.#install();
    afterAll(() => gateway.#remove());
    return gateway;
  }

  #install(): void {
    const { pins } = this;
    const fingerprint = here.objects.fingerprintOf(this.#constants);
    here.load.loadDatapath(pins, fingerprint, this.#constants);
    here.entries.setEntries(pins, this.#entries(), this.#names);
    this.inside(() => {
      const xdp = { device: "v0", hook: "xdp", program: "xgw_xdp", fingerprint, mode: "native" } as const;
      const learn = { device: "v0", hook: "tcx-egress", program: "xgw_learn", fingerprint } as const;
      here.attachments.attach(pins, "xdp_v0", xdp, undefined, this.#names);
      here.attachments.attach(pins, "learn_v0", learn, undefined, this.#names);
    });
    this.setRule(9000, user1.id, 1);
  }

  readonly #names = {
    indexOf: () => this.nic,
    nameOf: (ifindex: number) => (ifindex === this.nic ? "v0" : `#${ifindex}`),
  };

  #entries(): Entry[] {
    return [
      ...tenants.flatMap(({ id, key, zone, wrap, mtu, peers }): Entry[] => {
        const value = { id, zone, vrf: "v0", tunnel: "v0", routeTable: id, kind: wrap, mtu, hasPolicy: false };
        const [outside = "", inside = ""] = peers;
        return [
          { map: "tenants", key, value },
          { map: "endpoints", tenant: id, prefix: "1.1.1.0/24", via: outside },
          { map: "endpoints", tenant: id, prefix: "10.0.0.0/8", via: inside },
          ...peers.map((address): Entry => ({ map: "peers", tenant: id, address })),
        ];
      }),
      { map: "nics", device: "v0" },
    ];
  }

  inside<T>(work: () => T): T {
    return inNetNamespace(this.namespace.path, work as () => never);
  }

  /** Of nsenter, for the command in the namespace. */
  commandLine(...words: string[]): string[] {
    return [`--net=${this.namespace.path}`, process.execPath, main, "-c", this.config, ...words];
  }

  xgw(...words: string[]): Ended {
    const { status, stdout, stderr } = spawnSync("nsenter", this.commandLine(...words), {
      encoding: "utf8",
      maxBuffer: 2 ** 30,
    });
    return { code: status, stdout, stderr };
  }

  /** JSON, one value a line. */
  json(...words: string[]): Record<string, unknown>[] {
    const { stdout, stderr } = this.xgw(...words, "-j");
    try {
      return stdout.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line)]));
    } catch {
      throw new Error(`${stdout}${stderr}`);
    }
  }

  map(name: string): BpfMap {
    return BpfMap.openPinned(this.pins.map(name));
  }

  /** Which rule of a tenant's a slot counts. */
  setRule(slot: number, tenant: number, mark: number): void {
    using rules = this.map("rules");
    rules.set(u32(slot), Buffer.from(new BigUint64Array([(BigInt(tenant) << 32n) | BigInt(mark)]).buffer));
  }

  setGeneration(tenant: number, generation: number): void {
    using generations = this.map("generations");
    generations.set(u32(tenant), u32(generation));
  }

  /** Changes what an interned template of `teach` says. */
  changeTemplate(id: number, changes: Partial<Encap>): void {
    using encaps = TypedMap.openPinned<number, Encap>(this.pins.map("encaps"));
    const encap = encaps.get(id);
    if (encap) encaps.set(id, { ...encap, ...changes });
  }

  /** A template of the direction's; its id. */
  template(direction: Direction): number {
    using encaps = TypedMap.openPinned<number, Encap>(this.pins.map("encaps"));
    const id = this.#encaps++;
    encaps.set(id, direction.encap(this.nic));
    return id;
  }

  /** Both directions of a connection, with templates of their own. */
  teach({ original, reply }: TestConnection, changes: Partial<Flow> = {}): readonly [number, number] {
    const ids = [original, reply].map((direction) => this.template(direction)) as [number, number];
    this.put([
      [original, original.flow(ids[0], changes)],
      [reply, reply.flow(ids[1], changes)],
    ]);
    return ids;
  }

  /** Lines of the table, by the program that moves them. */
  put(lines: readonly (readonly [Direction, Flow])[]): void {
    using mover: BpfObject = here.move.openMover(this.pins, this.#constants);
    const btf = mover.btf as Btf;
    const codec = codecOf(layoutOf(btf, btf.get("xgw_flow", "struct").id)) as Codec<unknown>;
    const records = Buffer.alloc(lines.length * codec.size);
    for (const [n, [direction, { flags, bytes, ...flow }]] of lines.entries()) {
      const counts = { bytes_low: Number(bytes & 0xffff_ffffn), bytes_high: Number(bytes >> 32n) };
      codec.encodeInto({ ...flow, ...counts, key: { ...direction.key, flags } }, records, n * codec.size);
    }
    const { added } = here.move.runOn(mover.program("xgw_move_flows"), records, lines.length);
    if (added !== lines.length) throw new Error(`${added} of ${lines.length} lines were put into the table`);
  }

  usage(tenant: number): number {
    using map = this.map("flow_usage");
    return Number(map.get(u32(tenant))?.readBigInt64LE() ?? 0n);
  }

  setUsage(tenant: number, lines: number): void {
    using map = this.map("flow_usage");
    map.set(u32(tenant), Buffer.from(new BigInt64Array([BigInt(lines)]).buffer));
  }

  setLimits(tenant: number, limits: Partial<Limits>): void {
    here.entries.setEntries(this.pins, [{ map: "limits", tenant, value: { ...noLimits, ...limits } }], this.#names);
  }

  setLosses(tenant: number, { flowsRefused }: { readonly flowsRefused: number }): void {
    using map = this.map("losses");
    const value = Buffer.alloc(map.valueSize);
    value.writeBigUInt64LE(BigInt(flowsRefused), 8);
    map.set(u32(tenant), value);
  }

  /** What the line of a direction has counted. */
  setCounts({ key }: Direction, packets: number, bytes: number): void {
    using flows = this.map("flows");
    for (const [bucket, lines] of [...flows.entries()])
      for (let at = 0; at < lines.length; at += 64)
        if (lines[at + 16] !== 0 && lines.subarray(at, at + 4).equals(addressBytesOf(key.saddr))) {
          u32(packets, bytes).copy(lines, at + 56);
          flows.set(bucket, lines);
        }
  }

  /** When a connection was first seen: so long ago. */
  remember({ original, reply, record }: TestConnection, secondsAgo: number): void {
    using map = this.map("conntrack");
    const { arrivesAs } = original.fields;
    const key = Buffer.alloc(map.keySize);
    const put = (bytes: Buffer, [from, to]: typeof arrivesAs) => {
      addressBytes(from.address).copy(bytes, 0);
      addressBytes(to.address).copy(bytes, 4);
      bytes.writeUInt16BE(from.port, 8);
      bytes.writeUInt16BE(to.port, 10);
      bytes[12] = original.key.protocol;
    };
    put(key, arrivesAs);
    key.writeUInt32LE(record.zone, 16);
    const value = Buffer.alloc(map.valueSize);
    put(value, reply.fields.arrivesAs);
    value.writeBigUInt64LE(process.hrtime.bigint() - BigInt(secondsAgo) * 1_000_000_000n, 16);
    map.set(key, value);
  }

  /** Empties flow table and conntrack, and forgets all templates and changes. */
  clear(): void {
    using flows = this.map("flows");
    for (const [bucket, lines] of [...flows.entries()])
      if (lines.some((byte) => byte !== 0)) flows.set(bucket, Buffer.alloc(flows.valueSize));
    for (const { id } of tenants) this.setGeneration(id, 0);
    for (const name of ["flow_usage", "losses", "limits"]) {
      using map = this.map(name);
      for (const { id } of tenants) map.set(u32(id), Buffer.alloc(map.valueSize));
    }
    this.#encaps = 0;
    this.namespace.exec("conntrack", "-F");
  }

  #remove(): void {
    this.inside(() => {
      for (const name of this.pins.links()) here.attachments.detach(this.pins, name);
    });
    this.pins.removeAll();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Of a number as `addressNumber` has it: in network byte order. */
function addressBytesOf(address: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(address);
  return bytes;
}
