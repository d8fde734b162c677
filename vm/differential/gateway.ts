/** The gateway under test: xgw in this process's network namespace, at the near end of raw cables. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BpfLink, BpfMap, BpfObject, BpfProgram } from "libbpf-ts";
import { loadConfig } from "../../src/config/load.js";
import { readForwarded } from "../../src/datapath/accounting.js";
import { readReasons } from "../../src/datapath/counters.js";
import { readU64, u32 } from "../../src/datapath/layout.js";
import { Pins } from "../../src/datapath/pins.js";
import { reasons } from "../../src/datapath/reasons.js";
import { apply, giveTemplatesBack, redecide, teardown } from "../../src/gateway.js";
import { batch } from "../../src/kernel/ip.js";
import { tableName } from "../../src/plan/rules.js";
import { flowtablePart, verdictMap } from "../../src/plan/shares.js";
import { run } from "../lab/netns.js";
import { Cables, type Departure, prepareClocks } from "../lab/own-namespace.js";
import { built } from "../root.js";
import { instance, type Site } from "./site.js";

const passFile = built("bpf/test-pass.bpf.o");

export class Gateway {
  private constructor(
    readonly site: Site,
    private readonly cables: Cables,
    readonly tenants: readonly number[],
    private readonly pass: BpfObject,
    private readonly reasonStats: BpfMap,
  ) {}

  /** @param folder where the config is written */
  static async start(site: Site, folder: string): Promise<Gateway> {
    const cables = await Cables.plug(site.cables, `xgw-differential-${process.pid}`);
    const file = join(folder, "xgw.yaml");
    await writeFile(file, JSON.stringify(site.config, undefined, 2)); // JSON is YAML, too
    const { config } = await loadConfig(file);
    const { desired } = await apply(config);
    await prepareClocks(); // of fragments xgw has set one
    await batch([
      ...site.neighbours.map(
        ({ device, address, mac }) => `neigh replace ${address} lladdr ${mac} dev ${device} nud permanent`,
      ),
      ...site.routes,
    ]);
    const pass = BpfObject.open(passFile).load();
    return new Gateway(
      site,
      cables,
      desired.tenants.map(({ id }) => id),
      pass,
      BpfMap.openPinned(new Pins(instance).map("reason_stats")),
    );
  }

  send(wire: number, frame: Buffer): void {
    this.cables.send(wire, frame);
  }

  /** What has come out of the cables. */
  take(): Departure[] {
    return this.cables.take();
  }

  private get pins(): Pins {
    return new Pins(instance);
  }

  /** Puts the gateway into one of the states that are compared, with no connection and no flow. */
  async set({ xdp, flowtable }: { readonly xdp: boolean; readonly flowtable: boolean }): Promise<void> {
    this.setXdp(xdp);
    await this.setFlowtable(flowtable);
    await this.forget();
  }

  private async forget(): Promise<void> {
    await run("conntrack", ["-F"]).catch(() => "");
    await redecide(instance, this.tenants);
    await giveTemplatesBack(instance, this.tenants);
  }

  /** Whether XDP is on. */
  isFast = true;

  /** Whether the program, or one that passes everything, is on the NICs. The slow path stays as it is. */
  private setXdp(on: boolean): void {
    this.isFast = on;
    const { pins } = this;
    const [fingerprint = ""] = pins.fingerprints();
    using own = BpfProgram.openPinned(pins.program(fingerprint, "xgw_xdp"));
    for (const name of pins.links()) {
      using link = BpfLink.openPinned(pins.link(name));
      if (link.info.type === "xdp") link.update(on ? own : this.pass.program("pass"));
    }
  }

  /** Whether established flows are given to the flowtable, as the rules have it. */
  private async setFlowtable(on: boolean): Promise<void> {
    const chain = ["ip", tableName(instance), "forward"];
    const lines = (await run("nft", ["-a", "list", "chain", ...chain])).split("\n");
    const at = lines.findIndex((line) => line.includes(`vmap @${verdictMap(flowtablePart)}`));
    const handle = (line: string | undefined) => / handle (\d+)$/.exec(line ?? "")?.[1] ?? "";
    if (on === at >= 0) return;
    if (!on) {
      this.offload = { rule: lines[at]?.replace(/ # handle.*/, "").trim() ?? "", before: handle(lines[at + 1]) };
      await run("nft", ["delete", "rule", ...chain, "handle", handle(lines[at])]);
    } else {
      const { rule, before } = this.offload;
      await run("nft", [`insert rule ${chain.join(" ")} position ${before} ${rule}`]);
    }
  }
  private offload = { rule: "", before: "" };

  /** Packets by reason, over all tenants; "forwarded" are those that XDP sent. */
  reasons(): Map<string, number> {
    const sums = new Map<string, number>();
    for (const counts of readReasons(this.pins, [0, ...this.tenants]).values())
      for (const [reason, { packets }] of Object.entries(counts)) sums.set(reason, (sums.get(reason) ?? 0) + packets);
    const rules = [...readForwarded(this.pins, this.tenants).values()].flat();
    sums.set(
      "forwarded",
      rules.reduce((sum, { tiers }) => sum + tiers.xdp.packets, 0),
    );
    return sums;
  }

  /** Of the packets that XDP dropped or passed up, how many there were so far, by reason. Empty when it is not on. */
  decided(): Map<string, number> {
    const sums = new Map<string, number>();
    if (!this.isFast) return sums;
    for (const tenant of [0, ...this.tenants]) {
      const values = this.reasonStats.getPerCpu(u32(tenant)) ?? [];
      for (const [reason, { name }] of reasons.entries()) {
        const packets = values.reduce((sum, value) => sum + readU64(value, 16 * reason), 0n);
        sums.set(name, (sums.get(name) ?? 0) + Number(packets));
      }
    }
    return sums;
  }

  async stop(): Promise<void> {
    this.pass.close();
    this.reasonStats.close();
    await teardown(instance);
    await this.cables.unplug();
  }
}
