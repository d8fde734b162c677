/** Steps are data: printed by `plan`, run by `execute`. Each is of one phase, and phases run in the order given here. */

import type { Address, Attachment, Device, Element, Entry, Family, Neighbour, Route, TagOffload } from "./state.js";

export type Step =
  | { readonly kind: "device.add"; readonly name: string; readonly device: Device }
  | { readonly kind: "device.set"; readonly name: string; readonly device: Device; readonly was: Device }
  | { readonly kind: "device.replace"; readonly name: string; readonly device: Device; readonly was: Device }
  | { readonly kind: "rule-order.set"; readonly family: Family }
  | { readonly kind: "rule-order.restore"; readonly family: Family }
  | { readonly kind: "sysctl.set"; readonly name: string; readonly value: string; readonly was: string | undefined }
  | { readonly kind: "tag-offload.set"; readonly offload: TagOffload }
  | { readonly kind: "address.add"; readonly address: Address }
  | { readonly kind: "neighbour.set"; readonly neighbour: Neighbour }
  | { readonly kind: "route.set"; readonly route: Route; readonly was: Route | undefined }
  | { readonly kind: "rules.set"; readonly was: string }
  | { readonly kind: "rules.delete" }
  | { readonly kind: "flowtable.delete"; readonly flowtable: string; readonly device: string }
  | { readonly kind: "flowtable.add"; readonly flowtable: string; readonly device: string }
  | { readonly kind: "element.delete"; readonly element: Element }
  | { readonly kind: "element.set"; readonly element: Element; readonly was: Element | undefined }
  | { readonly kind: "map.pin"; readonly map: string }
  | { readonly kind: "datapath.load"; readonly fingerprint: string }
  | { readonly kind: "map.move"; readonly map: string; readonly why: string }
  | { readonly kind: "entry.set"; readonly entry: Entry; readonly was: Entry | undefined }
  | {
      readonly kind: "attach";
      readonly name: string;
      readonly attachment: Attachment;
      readonly was: Attachment | undefined;
    }
  | { readonly kind: "entry.delete"; readonly entry: Entry }
  | { readonly kind: "neighbour.delete"; readonly neighbour: Neighbour }
  | { readonly kind: "route.delete"; readonly route: Route }
  | { readonly kind: "address.delete"; readonly address: Address }
  | { readonly kind: "connections.revoke"; readonly tenant: number; readonly all: boolean }
  | { readonly kind: "generation.bump"; readonly tenant: number }
  | { readonly kind: "detach"; readonly name: string; readonly attachment: Attachment }
  | { readonly kind: "datapath.unload"; readonly fingerprint: string }
  | { readonly kind: "device.delete"; readonly name: string; readonly device: Device };

export type StepKind = Step["kind"];

/**
 * Programs are loaded first, for that changes nothing, and a kernel that does not take them keeps all as it is. The one on the
 * uplink that takes the place of another is attached then, before the rules that know its packets by the mark that it gives.
 *
 * The order of the routing rules comes next: no tenant's device is there before its packets keep to its tables.
 *
 * Adds before deletes: the slow path is right before a map points at it, maps are right before a program is attached,
 * and what goes is taken out of the maps before it is taken out of the slow path. Once nothing old can be decided any
 * more, the generation moves on, and no flow learned before it is followed.
 *
 * Connections that are no longer admitted end when the slow path admits no more of them, and while the maps still know a
 * tenant that goes: a run that is killed before is seen to have left the tenant unsettled, and the next one ends them.
 *
 * What keeps a tenant apart that goes is taken away when its devices are gone: routes that lead nowhere, and the elements that
 * say who may come in, and what may leave. Without them, its look-ups would go on to the machine's own tables, and its tunnel
 * would take packets from anybody.
 *
 * What is in the nft table is the exception: old and new go and come in one transaction, the old first, because the cells of
 * a policy that is cut anew overlap the old cells, which nft refuses. A tunnel is taken out of its flowtable before it is
 * deleted: from Linux 6.16 on its name would stay there, and keep a later one of that name from any other flowtable.
 */
export const phaseOrder: readonly StepKind[] = [
  "map.pin",
  "datapath.load",
  "rule-order.set",
  "device.add",
  "device.set",
  "device.replace",
  "sysctl.set",
  "tag-offload.set",
  "address.add",
  "neighbour.set",
  "route.set",
  "rules.set",
  "flowtable.delete",
  "flowtable.add",
  "element.delete",
  "element.set",
  "entry.set",
  "attach",
  "map.move",
  "connections.revoke",
  "entry.delete",
  "route.delete",
  "neighbour.delete",
  "address.delete",
  "generation.bump",
  "detach",
  "datapath.unload",
  "device.delete",
  "rules.delete",
  "rule-order.restore",
];

export type StepOf<K extends StepKind> = Extract<Step, { kind: K }>;

export function stepsOf<K extends StepKind>(steps: readonly Step[], kind: K): StepOf<K>[] {
  return steps.filter((step): step is StepOf<K> => step.kind === kind);
}
