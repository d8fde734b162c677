/** Steps in words, one line each, for `plan` and the log. `+` makes, `~` changes, `-` removes, `>` moves on. */

import { nobody } from "../model/desired.js";
import { type Limits, resources } from "../model/shares.js";
import { damagedRules } from "./rules.js";
import type { Attachment, Device, Element, Entry, Route, Settings } from "./state.js";
import { entryId } from "./state.js";
import type { Step } from "./steps.js";

export function describeStep(step: Step): string {
  switch (step.kind) {
    case "device.add":
      return `+ device ${step.name}: ${describeDevice(step.device)}`;
    case "device.set":
      return `~ device ${step.name}: ${describeDevice(step.device)}`;
    case "device.replace":
      return `~ device ${step.name}, made anew: ${describeDevice(step.device)}`;
    case "device.delete":
      return `- device ${step.name}`;
    case "rule-order.set":
      return `~ ip rules of ${step.family}: tenants' tables before the gateway's own addresses`;
    case "rule-order.restore":
      return `~ ip rules of ${step.family}: the gateway's own addresses first, as the kernel has it`;
    case "sysctl.set":
      return `~ sysctl ${step.name} = ${step.value}${step.was === undefined ? "" : ` (was ${step.was})`}`;
    case "tag-offload.set": {
      const { device, feature, isOn } = step.offload;
      return `~ NIC ${device}: ${feature} ${isOn ? "on" : "off"}`;
    }
    case "address.add":
      return `+ address ${step.address.address} on ${step.address.device}`;
    case "address.delete":
      return `- address ${step.address.address} on ${step.address.device}`;
    case "neighbour.set":
      return `+ neighbour ${step.neighbour.endpoint} on ${step.neighbour.device}`;
    case "neighbour.delete":
      return `- neighbour ${step.neighbour.endpoint} on ${step.neighbour.device}`;
    case "route.set":
      return `${step.was ? "~" : "+"} route ${describeRoute(step.route)}`;
    case "route.delete":
      return `- route ${describeRoute(step.route)}`;
    case "rules.set":
      if (step.was === "") return "+ nft rules";
      return `~ nft rules (${step.was === damagedRules ? "somebody has changed them" : `were version ${step.was}`})`;
    case "rules.delete":
      return "- nft rules";
    case "flowtable.delete":
      return `- device ${step.device} in flowtable ${step.flowtable}`;
    case "flowtable.add":
      return `+ device ${step.device} in flowtable ${step.flowtable}`;
    case "element.set":
      return `${step.was ? "~" : "+"} nft ${describeElement(step.element)}`;
    case "element.delete":
      return `- nft ${step.element.set}: ${step.element.key}`;
    case "map.pin":
      return `+ pin of map ${step.map}`;
    case "map.move":
      return `~ map ${step.map} becomes another one, with what is in it (${step.why})`;
    case "datapath.load":
      return `+ programs ${step.fingerprint}`;
    case "datapath.unload":
      return `- programs ${step.fingerprint}`;
    case "entry.set":
      return `${step.was ? "~" : "+"} map ${describeEntry(step.entry)}`;
    case "entry.delete":
      return `- map ${entryId(step.entry)}`;
    case "attach":
      return `${step.was ? "~" : "+"} attach ${describeAttachment(step.attachment)}`;
    case "detach":
      return `- attachment ${step.name}`;
    case "connections.revoke":
      return `> connections of tenant ${step.tenant} end${step.all ? "" : " where they are no longer admitted"}`;
    case "generation.bump":
      if (step.tenant === nobody) return "> keys that no tenant had are looked up anew";
      return `> generation of tenant ${step.tenant}: its flows are decided anew`;
  }
}

const describeElement = ({ set, key, value }: Element) => `${set}: ${key}${value === "" ? "" : ` : ${value}`}`;

function describeDevice(device: Device): string {
  if (device.kind === "vrf") return `vrf, route table ${device.routeTable}`;
  return `${device.kind}, key ${device.key}, local ${device.local}, mtu ${device.mtu}, in ${device.vrf}`;
}

function describeRoute({ routeTable, family, to: destination, metric, uplink, tunnel }: Route): string {
  const to = family ? `${destination} (${family})` : destination;
  if (uplink) return `${to} in table ${routeTable}: via ${uplink.via}, dev ${uplink.device}`;
  if (metric) return `${to} in table ${routeTable}: unreachable, when nothing else is left`;
  const key = tunnel && tunnel.key !== null ? `, key ${tunnel.key}` : "";
  const where = tunnel ? `via ${tunnel.via}${key}, dev ${tunnel.device}` : "unreachable";
  return `${to} in table ${routeTable}: ${where}`;
}

function describeEntry(entry: Entry): string {
  switch (entry.map) {
    case "limits":
      return `${entryId(entry)} : ${describeLimits(entry.value)}`;
    case "settings":
      return `${entryId(entry)} : ${describeSettings(entry.value)}`;
    case "endpoints":
      return `${entryId(entry)} : ${entry.via}`;
    case "destinations":
      return `${entryId(entry)} : ${entry.to} ${entry.toPort}`;
    case "policy_networks":
      return `${entryId(entry)} : ${entry.page}`;
    case "policy_services":
      return `${entryId(entry)} : ${entry.mark}`;
    default:
      return entryId(entry);
  }
}

const describeSettings = ({ tcpTimeoutMs, udpTimeoutMs, sessionPool, newPool, neighbourPool }: Settings) =>
  `established TCP ${tcpTimeoutMs / 1000} s, UDP ${udpTimeoutMs / 1000} s; anybody's ${sessionPool} sessions, ${newPool} newPerSecond, ${neighbourPool} neighbours`;

const describeLimits = (limits: Limits) =>
  resources.flatMap((resource) => (limits[resource] > 0 ? [`${resource} ${limits[resource]}`] : [])).join(", ");

function describeAttachment({ program, device, hook, mode, fingerprint }: Attachment): string {
  return `${program} (${fingerprint}) to ${device}, ${hook}${mode ? ` ${mode}` : ""}`;
}
