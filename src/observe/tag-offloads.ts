/** Which NICs may hide VLAN tags from XDP: those that have VLANs, as far as the machine knows. */

import type { Finding } from "../finding.js";
import type { Link } from "../kernel/rtnetlink.js";
import { type ObservedTagOffload, readTagOffloads } from "../kernel/tag-offload.js";
import type { Desired } from "../model/desired.js";
import { byId, type TagFeature, type TagOffload, tagOffloadId } from "../plan/state.js";

/** By the EtherType of the tag. */
const features: Readonly<Record<number, TagFeature>> = {
  33024: "rx-vlan-hw-parse",
  34984: "rx-vlan-stag-hw-parse",
};

/**
 * Of each NIC with VLANs, be they a side's or others: without their tags, frames of a VLAN look to XDP like those of any
 * other, and like those without one.
 */
export const observeTagOffloads = (desired: Desired, links: readonly Link[]): ObservedTagOffload[] =>
  readOnly(wantedTags(desired, links));

/** These, as they are now, by what they are known by. */
export const tagOffloadsNow = (known: Iterable<TagOffload>): Map<string, TagOffload> =>
  byId(
    readOnly([...known]).map(({ device, feature, isOn }) => ({ device, feature, isOn })),
    tagOffloadId,
  );

function readOnly(wanted: readonly Omit<TagOffload, "isOn">[]): ObservedTagOffload[] {
  const ids = new Set(wanted.map(tagOffloadId));
  return readTagOffloads([...new Set(wanted.map(({ device }) => device))]).filter((one) => ids.has(tagOffloadId(one)));
}

/** Which tags are to be seen where XDP runs: of a bond in native mode on its members. */
export function wantedTags({ nics }: Desired, links: readonly Link[]): Omit<TagOffload, "isOn">[] {
  return nics.flatMap(({ name, xdp }) => {
    const types = new Set(links.flatMap(({ below, vlan }) => (vlan && below === name ? [vlan.type] : [])));
    const isBond = xdp !== "generic" && links.some((link) => link.name === name && link.kind === "bond");
    const devices = isBond ? links.flatMap((link) => (link.master === name ? [link.name] : [])) : [name];
    return devices.flatMap((device) =>
      [...types].flatMap((type) => {
        const feature = features[type];
        return feature ? [{ device, feature }] : [];
      }),
    );
  });
}

/** What cannot be turned off, and where XDP never sees a tag. */
export function tagFindings(
  { nics }: Desired,
  links: readonly Link[],
  offloads: readonly ObservedTagOffload[],
): Finding[] {
  const stuck = offloads.filter(({ isOn, isChangeable }) => isOn && !isChangeable);
  const genericBonds = nics.filter(
    ({ name, xdp }) =>
      xdp === "generic" &&
      links.some((link) => link.name === name && link.kind === "bond") &&
      links.some(({ vlan, below }) => vlan && below === name),
  );
  return [
    ...stuck.map(({ device, feature }) =>
      hidden(device, `has ${feature} on, which its driver does not let be changed`, `ethtool -k ${device}`),
    ),
    ...genericBonds.map(({ name }) =>
      hidden(name, "is a bond with generic XDP", `ip -d link show dev ${name}`, "or choose `xdp: native`"),
    ),
  ];
}

const hidden = (
  device: string,
  because: string,
  evidence: string,
  or = "or one that leaves tags in frames",
): Finding => ({
  id: "tags_hidden",
  severity: "warning",
  subject: device,
  what: `XDP does not see VLAN tags on NIC ${device}, which ${because}`,
  why: "frames of its VLANs are left to the kernel, or look like those of another",
  evidence,
  remedy: `xgw validate && xgw apply # with a NIC without VLANs for each side in the config, ${or}`,
});
