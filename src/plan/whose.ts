/** Whose a step is. Pure. */

import { nobody, routeTableBase } from "../model/desired.js";
import { type Entry, type State, tenantOfElement } from "./state.js";
import type { Step } from "./steps.js";

/** Of settings of a device: its name. */
const deviceSetting = /^net\.ipv[46]\.(?:conf|neigh)\.(.+)\.[^.]+$/;

/** Made once for a plan; linear in what it is made of. */
export class Whose {
  private readonly byDevice = new Map<string, number>();
  private readonly byPage = new Map<string, number>();

  /** @param states those that the steps lead from and to */
  constructor(...states: readonly Pick<State, "devices" | "entries">[]) {
    for (const { devices } of states)
      for (const [name, device] of devices)
        if (device.kind === "vrf") this.byDevice.set(name, device.routeTable - routeTableBase);
    for (const { devices } of states)
      for (const [name, device] of devices)
        if (device.kind !== "vrf") this.byDevice.set(name, this.byDevice.get(device.vrf) ?? nobody);
    for (const { entries } of states)
      for (const entry of entries.values()) {
        if (entry.map !== "policy_networks") continue;
        const owner = this.byPage.get(entry.page);
        this.byPage.set(entry.page, owner === undefined || owner === entry.tenant ? entry.tenant : nobody);
      }
  }

  /** Id of the tenant; `nobody` of what is the gateway's, or several tenants'. */
  tenantOf(step: Step): number {
    switch (step.kind) {
      case "device.add":
      case "device.set":
      case "device.replace":
      case "device.delete":
        return this.ofDevice(step.name);
      case "sysctl.set":
        return this.ofDevice(deviceSetting.exec(step.name)?.[1] ?? "");
      case "address.add":
      case "address.delete":
        return this.ofDevice(step.address.device);
      case "neighbour.set":
      case "neighbour.delete":
        return this.ofDevice(step.neighbour.device);
      case "route.set":
      case "route.delete":
        return step.route.routeTable - routeTableBase;
      case "flowtable.add":
      case "flowtable.delete":
        return this.ofDevice(step.device);
      case "element.set":
      case "element.delete":
        return tenantOfElement(step.element);
      case "entry.set":
      case "entry.delete":
        return this.ofEntry(step.entry);
      case "attach":
      case "detach":
        return this.ofDevice(step.attachment.device);
      case "connections.revoke":
      case "generation.bump":
        return step.tenant;
      default:
        return nobody;
    }
  }

  private ofDevice(name: string): number {
    return this.byDevice.get(name) ?? nobody;
  }

  private ofEntry(entry: Entry): number {
    switch (entry.map) {
      case "settings":
      case "nics":
      case "bond_members":
        return nobody;
      case "tenants":
        return entry.value.id;
      case "policy_services":
        return this.byPage.get(entry.page) ?? nobody;
      default:
        return entry.tenant;
    }
  }
}
