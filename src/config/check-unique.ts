import { maxTenants } from "../model/desired.js";
import type { Path, Report } from "./finding.js";
import type { Config, ConfigTenant } from "./schema.js";

/** Tenants that cannot be told apart, or are too many. */
export function checkTenants(tenants: readonly ConfigTenant[], report: Report): void {
  const names = new Map<string, number>();
  const keys = new Map<number, number>();
  for (const [index, { name, key }] of tenants.entries()) {
    const sameName = names.get(name);
    if (sameName !== undefined) {
      const at = report.placeOf(["tenants", sameName, "name"]);
      const remedy = "give each tenant a name of its own";
      report.error(["tenants", index, "name"], `the name ${name} is taken at ${at}`, remedy);
    } else {
      names.set(name, index);
    }
    const sameKey = keys.get(key);
    if (sameKey !== undefined) {
      const at = report.placeOf(["tenants", sameKey, "key"]);
      const message = `the key ${key} is ${tenants[sameKey]?.name}'s at ${at}`;
      report.error(["tenants", index, "key"], message, "give each tenant a GRE key of its own");
    } else {
      keys.set(key, index);
    }
  }
  const most = maxTenants - 1;
  if (tenants.length > most) {
    report.error(
      ["tenants"],
      `there are ${tenants.length} tenants`,
      `one instance holds ${most}: start a second instance`,
    );
  }
}

/** NICs named twice, or a side that no fast path would serve. */
export function checkNics({ nics, underlay, uplink }: Config, report: Report): void {
  const seen = new Map<string, Path>();
  for (const [index, nic] of nics.entries()) {
    const path: Path = ["nics", index, "name"];
    const first = seen.get(nic.name);
    if (first) report.error(path, `${nic.name} is listed already at ${report.placeOf(first)}`, "remove one of the two");
    else seen.set(nic.name, path);
  }
  checkListed("underlay", underlay.device, seen, report);
  if (uplink && uplink.device !== underlay.device) checkListed("uplink", uplink.device, seen, report);
}

/** A VLAN device is served by the NIC below it, which its name tells by convention only. */
function checkListed(
  side: "underlay" | "uplink",
  device: string,
  nics: ReadonlyMap<string, Path>,
  report: Report,
): void {
  if (nics.has(device) || [...nics.keys()].some((nic) => isVlanName(device, nic))) return;
  const remedy = `add { name: ${device}, xdp: native }, or the NIC that it is a VLAN of`;
  report.error(["nics"], `the ${side} device ${device} is not listed, so its traffic has no fast path`, remedy);
}

/** `eth0.100` and `eth0.100.7` are VLANs of eth0. */
function isVlanName(device: string, nic: string): boolean {
  return device.startsWith(`${nic}.`) && /^\.\d+(\.\d+)?$/.test(device.slice(nic.length));
}
