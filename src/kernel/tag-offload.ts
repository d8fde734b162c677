/**
 * Whether a NIC takes VLAN tags off frames that come in, and hands them to the kernel beside the packet, where XDP does not
 * see them: two of its features (`ethtool -k`), asked for and set by netlink (linux/ethtool_netlink.h), as others are asked for.
 */

import { Attributes, attribute, BpfError, NetlinkSocket } from "libbpf-ts";
import { KernelError } from "../errors.js";
import { type TagFeature, type TagOffload, tagFeatures } from "../plan/state.js";
import { genericNetlink, headerSize, message, nest, readFamily, text } from "./generic-netlink.js";

/** ETHTOOL_MSG_FEATURES_*, ETHTOOL_A_FEATURES_*, ETHTOOL_A_HEADER_*, ETHTOOL_A_BITSET_*. */
const featuresGet = 11;
const featuresSet = 12;
const ofFeatures = { header: 1, changeable: 2, wanted: 3, active: 4 };
const ofHeader = { deviceName: 2 };
const ofBitset = { noMask: 1, bits: 3 };
const ofBits = { bit: 1 };
const ofBit = { name: 2, value: 3 };

export interface ObservedTagOffload extends TagOffload {
  /** Whether the driver lets it be changed. */
  readonly isChangeable: boolean;
}

/** A NIC's features, as `ethtool -k` has them but by the kernel's names. */
export interface Features {
  /** Those that the driver lets be changed. */
  readonly changeable: ReadonlySet<string>;
  /** Those that are on. */
  readonly active: ReadonlySet<string>;
}

/** Of devices by name. */
export function readFeatures(devices: readonly string[]): Map<string, Features> {
  if (devices.length === 0) return new Map();
  using socket = new NetlinkSocket(genericNetlink);
  const family = readFamily(socket, "ethtool");
  if (!family) return new Map();
  return new Map(
    devices.map((device) => {
      const { attributes } = socket.get(message(family.id, featuresGet, header(device)), headerSize);
      const named = (type: number) => names(attributes.nested(type));
      return [device, { changeable: named(ofFeatures.changeable), active: named(ofFeatures.active) }];
    }),
  );
}

/** Of devices, those that have one or the other, on or off. */
export function readTagOffloads(devices: readonly string[]): ObservedTagOffload[] {
  return [...readFeatures(devices)].flatMap(([device, { changeable, active }]) =>
    tagFeatures.flatMap((feature): ObservedTagOffload[] => {
      const [isChangeable, isOn] = [changeable.has(feature), active.has(feature)];
      return isChangeable || isOn ? [{ device, feature, isOn, isChangeable }] : [];
    }),
  );
}

/** @throws KernelError when the driver does not do it */
export function setTagOffload({ device, feature, isOn }: TagOffload): void {
  using socket = new NetlinkSocket(genericNetlink);
  const family = readFamily(socket, "ethtool");
  const { body } = message(family?.id ?? 0, featuresSet, header(device), nest(ofFeatures.wanted, bit(feature, isOn)));
  const failed = socket.carryOut(family?.id ?? 0, [body]);
  const [errno] = failed.keys();
  if (errno === undefined) return;
  const cause = new BpfError({ operation: `set ${feature} of`, objectName: device, errno: -errno });
  throw new KernelError(`the NIC ${device} does not let ${feature} be turned ${isOn ? "on" : "off"}`, {
    cause,
    remedy: `see what it can: ethtool -k ${device}`,
    details: { device },
  });
}

const header = (device: string) => nest(ofFeatures.header, text(ofHeader.deviceName, device));

/** A bitset that says something of one bit only: on, if it has the flag ETHTOOL_A_BITSET_BIT_VALUE. */
function bit(feature: TagFeature, isOn: boolean): Buffer {
  const value = isOn ? [attribute(ofBit.value, Buffer.alloc(0))] : [];
  return nest(ofBitset.bits, nest(ofBits.bit, text(ofBit.name, feature), ...value));
}

/** Of the bits that are set: of a bitset without a mask those that are named, else those with the flag. */
function names(bitset: Attributes | undefined): Set<string> {
  const hasMask = bitset?.bytes(ofBitset.noMask) === undefined;
  const bits = [...(bitset?.nested(ofBitset.bits)?.values() ?? [])].map((bytes) => new Attributes(bytes));
  const set = bits.filter((bit) => !hasMask || bit.bytes(ofBit.value) !== undefined);
  return new Set(set.flatMap((bit) => bit.text(ofBit.name) ?? []));
}
