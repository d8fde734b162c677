/** A whole gateway in a namespace of its own, made by `xgw apply`, and what its hosts would send. */
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { BpfLink, BpfProgram, interfaceIndex } from "libbpf-ts";
import { readForwarded } from "../../src/datapath/accounting.js";
import { Pins } from "../../src/datapath/pins.js";
import { chainOf, flowtableOf, flowtablePart, verdictMap } from "../../src/plan/shares.js";
import { endpoints, frame, innerOffset, macs } from "../frame.js";
import type { Traffic } from "../generator.js";
import type { Port } from "../live/injector.js";
import { mac, Place } from "../live/wires.js";

const program = fileURLToPath(new URL("../../xgw/lib/main.js", import.meta.url));
const exec = promisify(execFile);

/** Inside each tenant: where clients and servers are. */
const servers = { address: "10.200.0.7", gateway: "10.200.0.1/24" };
const clients = "10.0.0.0/12";
const port = 80;
const firstKey = 1000;
/** Long enough that no connection ends while it is measured, seconds. */
const timeout = 7200;

const publicAddress = (tenant: number) => `2.2.${(tenant + 11) >> 8}.${(tenant + 11) & 255}`;

function configOf(instance: string, tenants: number, flows: number): string {
  const list = Array.from({ length: tenants }, (_, tenant) => ({
    name: `t${tenant}`,
    key: firstKey + tenant,
    tunnel: "gre",
    addresses: [servers.gateway],
    routes: [
      { to: `${servers.address}/32`, via: endpoints.to },
      { to: clients, via: endpoints.from },
    ],
    publicIps: [{ address: publicAddress(tenant), to: servers.address }],
    policy: { inbound: [{ allow: "udp", ports: [port] }] },
  }));
  return JSON.stringify({
    apiVersion: "xgw/v1",
    instance,
    underlay: { device: "eth0", address: endpoints.gateway },
    nics: [{ name: "eth0", xdp: "native" }],
    flows,
    tenants: list,
  });
}

export const carriers = ["xdp", "flowtable", "stack"] as const;
export type Carrier = (typeof carriers)[number];

type Hook = "xdp" | "learn";

export class Gateway {
  /** The tenant that packets are sent for: one in the middle. */
  readonly #tenant: number;
  /** Null: detached. Undefined: as xgw has it, pinned. */
  readonly #links = new Map<Hook, BpfLink | null>();

  private constructor(
    readonly instance: string,
    readonly tenants: number,
    private readonly place: Place,
    readonly far: Port,
  ) {
    this.#tenant = Math.floor(tenants / 2);
  }

  /**
   * Also plugs the gateway into `far`.
   *
   * @param flows room for so many
   */
  static async create(instance: string, tenants: number, far: Place, flows: number): Promise<Gateway> {
    const place = new Place(`bench-${instance}`);
    place.ip(`link add eth0 address ${mac(macs.gateway)} type veth peer name ${instance} netns ${far.name}`);
    place.ip(`address add ${endpoints.gateway}/24 dev eth0`, "link set eth0 up");
    far.ip(`link set ${instance} up`);
    // Packets come to the kernel as from a driver with NAPI, with XDP and without.
    place.run("ethtool", "-K", "eth0", "gro", "on", "tx", "off");
    far.run("ethtool", "-K", instance, "gro", "on", "tx", "off");
    place.ip(
      `neighbour add ${endpoints.from} lladdr ${mac(macs.from)} dev eth0 nud permanent`,
      `neighbour add ${endpoints.to} lladdr ${mac(macs.to)} dev eth0 nud permanent`,
    );
    place.sysctl(
      `net.netfilter.nf_conntrack_udp_timeout=${timeout}`,
      `net.netfilter.nf_conntrack_udp_timeout_stream=${timeout}`,
      `net.netfilter.nf_flowtable_udp_timeout=${timeout}`,
    );
    const config = join(mkdtempSync(join(tmpdir(), "xgw-bench-")), "xgw.json");
    writeFileSync(config, configOf(instance, tenants, flows));
    await exec("nsenter", [`--net=${place.path}`, process.execPath, program, "apply", "-c", config], {
      maxBuffer: 2 ** 28,
    });
    return new Gateway(instance, tenants, place, { place: far, ifindex: far.ifindex(instance) });
  }

  /** Without it established flows are the flowtable's. */
  setXdp(on: boolean): void {
    if (on) this.attach("xdp");
    else this.detach("xdp");
  }

  setLearner(on: boolean): void {
    if (on) this.attach("learn");
    else this.detach("learn");
  }

  /** For good. */
  removeFlowtable(): void {
    const table = `ip xgw_${this.instance}`;
    const chain = this.place.run("nft", "-a", "list", "chain", ...table.split(" "), "forward");
    const handle = new RegExp(`vmap @${verdictMap(flowtablePart)}.*# handle (\\d+)`).exec(chain)?.[1];
    if (!handle) throw new Error(`no rule of ${table} adds to the flowtable`);
    this.place.run(
      "nft",
      `delete rule ${table} forward handle ${handle}; flush chain ${table} ${chainOf(flowtablePart, 0)}; ` +
        `delete flowtable ${table} ${flowtableOf(0)}`,
    );
  }

  /** The pinned link stays without a device; what is attached again is held by this process. */
  private detach(hook: Hook): void {
    const own = this.#links.get(hook);
    if (own === null) return;
    if (own) {
      own.close();
    } else {
      const pinned = BpfLink.openPinned(`${this.pins}/links/${hook}_eth0`);
      pinned.detach();
      pinned.close();
    }
    this.#links.set(hook, null);
  }

  private attach(hook: Hook): void {
    if (this.#links.get(hook) !== null) return;
    const [folder = ""] = readdirSync(`${this.pins}/progs`);
    const program = BpfProgram.openPinned(`${this.pins}/progs/${folder}/xgw_${hook}`);
    const link = this.place.within(() => {
      const ifindex = interfaceIndex("eth0");
      return hook === "xdp"
        ? program.attachXdp({ ifindex, mode: "native" })
        : program.attachTcx({ ifindex, direction: "egress" });
    });
    program.close();
    this.#links.set(hook, link);
  }

  private get pins(): string {
    return `/sys/fs/bpf/xgw/${this.instance}`;
  }

  /** From clients to the tenant's server, or back. `base`: the first flow's number. */
  traffic(flows: number, options: { replies?: boolean; base?: number; payload?: number } = {}): Traffic {
    const { replies = false, base = 0, payload = 26 } = options;
    const variable = { address: "0.0.0.0", port: 0 };
    const [from, to] = replies
      ? [{ address: servers.address, port }, variable]
      : [variable, { address: publicAddress(this.#tenant), port }];
    const bytes = frame({
      wrap: "gre",
      protocol: "udp",
      key: firstKey + this.#tenant,
      outerSource: replies ? endpoints.to : endpoints.from,
      tuple: { from: from.address, fromPort: from.port, to: to.address, toPort: to.port },
      payload,
    });
    return { frame: bytes, inner: innerOffset("gre"), flows, base, replies };
  }

  /** Packets forwarded for all tenants, by what carried them. The stack's and the flowtable's are counted by the learner. */
  carried(): Record<Carrier, number> {
    const tenants = Array.from({ length: this.tenants }, (_, index) => index + 1);
    const sum = { xdp: 0, flowtable: 0, stack: 0 };
    for (const rules of readForwarded(new Pins(this.instance), tenants).values())
      for (const { tiers } of rules) for (const tier of carriers) sum[tier] += tiers[tier].packets;
    return sum;
  }
}
