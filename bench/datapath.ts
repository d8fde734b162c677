/** xgw's own program over a full flow table, with one tenant or many. */
import { BpfMap, type BpfObject, type BpfProgram, possibleCpus } from "libbpf-ts";
import { flowBuckets } from "../src/datapath/flow-table.js";
import { ticksIn } from "../src/kernel/clock.js";
import {
  endpoints,
  innerOffset,
  ipv4,
  macs,
  outerHeaders,
  type Protocol,
  plainHeader,
  server,
  service,
  type Wrap,
} from "./frame.js";
import type { Generator } from "./generator.js";
import { load, mapsOf, u16, u32 } from "./objects.js";

export const tenantKey = 1000;
const tenantId = 1;
const protocols: Record<Protocol, number> = { tcp: 6, udp: 17 };
const wraps: Record<Wrap, number> = { gretap: 0, gre: 1, plain: 2 };
/** The device that a test run without a context claims to come from. */
export const loopback = 1;
/** XGW_ENCAP_MAX */
const encapBytes = 64;

/** Where a flow's packets come in, and where they leave. */
export interface Sides {
  readonly from: Wrap;
  readonly to: Wrap;
}

export interface DatapathOptions {
  readonly prefix?: "" | "bench-stock-";
  /** How many the table has room for. */
  readonly flows: number;
  /** A power of two. */
  readonly tenants?: number;
  /** The device by which plain packets come in; there is no uplink if not given. */
  readonly uplink?: number;
  /** How often the kernel is asked for the way of each template; never if not given. */
  readonly waySeconds?: number;
}

export class Datapath {
  readonly #tenants: number;
  readonly #object: BpfObject;
  readonly #filler: BpfObject;
  readonly #departure: BpfMap;
  readonly program: BpfProgram;
  /** The flow table's lookup alone, for flows of the kind that was filled in last. */
  readonly lookup: BpfProgram;

  constructor(
    private readonly generator: Generator,
    { prefix = "", flows, tenants = 1, uplink = 0, waySeconds = Infinity }: DatapathOptions,
  ) {
    this.#tenants = tenants;
    const buckets = prefix === "" ? flowBuckets(flows) : 1;
    const sizes = { flows: buckets, stock_flows: flows };
    this.#object = load(`${prefix}xdp`, {
      sizes,
      // Conntrack knows none of these connections, so it is not to be asked.
      variables: {
        underlay_address: ipv4(endpoints.gateway),
        liveness_jiffies: 0x7fffffff,
        way_jiffies: ticksIn(waySeconds),
        sample_seconds: 255, // the kernel sends nothing here
        flow_buckets: buckets,
        uplink_ifindex: uplink,
        uplink_mac: Buffer.from(`${macs.gateway}0000`, "hex"),
      },
    });
    this.takeFrames(loopback);
    this.program = this.#object.program("xgw_xdp");
    const reuse = { ...mapsOf(this.#object), bench: generator.state };
    this.#filler = load(prefix === "" ? "bench-fill" : "bench-stock-fill", {
      reuse,
      variables: { flow_buckets: buckets },
    });
    this.lookup = this.#filler.program("look_up");
    this.#departure = this.#filler.map("departure");
    for (let index = 0; index < tenants; index++) this.addTenant(tenantKey + index, tenantId + index);
  }

  private addTenant(key: number, id: number): void {
    this.#object.map("tenants").set(u32(key), u32(id, id, 0, 0, 0, wraps.gretap, 1400, 0));
    this.#object.map("peers").set(Buffer.concat([u32(id), ipv4(endpoints.from)]), u32(1));
    this.#object.map("generations").set(u32(id), u32(8)); // even: settled
  }

  /** Takes a device as one of the gateway's NICs. To be called in its network namespace. */
  addNic(ifindex: number): void {
    this.#object.map("nics").set(u32(ifindex), u32(ifindex));
  }

  /** Where the tunnels' frames come in, all of them to one MAC address. */
  takeFrames(ifindex: number): void {
    this.#object.map("nic_macs").set(u32(ifindex), Buffer.from(`${macs.gateway}0001`, "hex"));
  }

  /** Teaches so many flows from `first` on, which leave by the device. Many tenants have them in turns. */
  fill({ from, to }: Sides, protocol: Protocol, flows: number, { first = 0, ifindex = loopback, ends = 1 } = {}): void {
    const header = Buffer.alloc(encapBytes);
    const headers = to === "plain" ? plainHeader() : outerHeaders(to, tenantKey, endpoints.gateway, endpoints.to, 0);
    headers.copy(header);
    this.#departure.set(
      u32(0),
      Buffer.concat([
        header,
        ...[ipv4("0.0.0.0"), ipv4(server.address), Buffer.from([0, 0, server.port >> 8, server.port & 0xff])],
        Buffer.from([protocols[protocol], 0, 0, 0]),
        ipv4(service.address),
        Buffer.from([service.port >> 8, service.port & 0xff]),
        u16(protocols[protocol]),
        u32(to === "plain" ? 0 : tenantKey, tenantId, ifindex),
        Buffer.from([wraps[to], innerOffset(to)]),
        u16(1400),
        u32(from === "plain" ? 0 : tenantKey, wraps[from]),
      ]),
    );
    this.generator.set({ frame: Buffer.alloc(128), inner: 0, flows: 2 ** 31, tenants: this.#tenants, ends }, first - 1);
    const { retval } = this.#filler.program("fill").testRun({ data: Buffer.alloc(128), repeat: flows });
    if (retval !== 3) throw new Error(`the flow table was not filled: ${retval}`);
  }

  /** As if a monitor listened that has been told of as many drops as it is told of in a tenth of a second. */
  listen(): void {
    const kind = { type: "ringbuf", name: "ring", keySize: 0, valueSize: 0, maxEntries: 1 << 18 } as const;
    using ring = BpfMap.create(kind);
    this.#object.map("events").set(u32(0), u32(ring.fd));
    this.#object.map("listeners").setPerCpu(u32(0), Array<Buffer>(possibleCpus()).fill(u32(1, 0)));
  }

  close(): void {
    this.#filler.close();
    this.#object.close();
  }
}
