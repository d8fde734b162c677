/** This version's programs as files: opened with the constants and sizes that they are to be loaded with. */

import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { BpfObject } from "libbpf-ts";
import { XgwError } from "../errors.js";
import { ticksIn } from "../kernel/clock.js";
import { fragmentLimits } from "../model/fragments.js";
import { type ProgramName, sidesDigits } from "../plan/state.js";
import { type Constants, maxUnderlayOthers } from "./constants.js";
import { flowBuckets } from "./flow-table.js";
import { addressBytes, u32 } from "./layout.js";

interface ObjectFile {
  readonly file: string;
  readonly programs: readonly ProgramName[];
  /** Asks for more of the kernel than the others. */
  readonly isFor?: (constants: Constants) => boolean;
}

/** Those of the data path. What not every one has comes first, for a data path is complete when the rest is there. */
const objects: readonly ObjectFile[] = [
  {
    file: "sessions.bpf.o",
    programs: ["xgw_session_born", "xgw_session_died", "xgw_session_refused"],
    isFor: ({ countsSessions }) => countsSessions,
  },
  {
    file: "neighbours.bpf.o",
    programs: ["xgw_neighbour_made", "xgw_neighbour_seen", "xgw_neighbour_asked", "xgw_neighbour_gone"],
  },
  {
    file: "unsent.bpf.o",
    programs: ["xgw_not_redirected", "xgw_not_taken", "xgw_not_transmitted", "xgw_not_transmitted_at_once"],
  },
  { file: "netfilter.bpf.o", programs: ["xgw_fragment", "xgw_reassembled", "xgw_quota", "xgw_next_hop"] },
  { file: "xdp.bpf.o", programs: ["xgw_xdp"] },
  { file: "tc.bpf.o", programs: ["xgw_learn", "xgw_arp", "xgw_enter", "xgw_nic_arp", "xgw_uplink"] },
];

export const objectsFor = (constants: Constants) => objects.filter(({ isFor }) => isFor?.(constants) ?? true);

/** Puts flows into a table. */
export const moverFile = "migrate.bpf.o";

/** Takes flows out of it. */
export const forgetterFile = "forget.bpf.o";

/** Beside the bundle of the programs that are installed, or where the build has put them in a checkout. */
function objectPath(file: string): string {
  const places = ["../bpf/", "../../bpf/"].map((folder) => fileURLToPath(new URL(`${folder}${file}`, import.meta.url)));
  const found = places.find((place) => existsSync(place));
  if (found !== undefined) return found;
  throw new XgwError(`the BPF program ${file} is missing (looked for ${places.join(", ")})`, {
    remedy: "run `npm run build`, or install xgw again",
  });
}

/**
 * Names one build of the programs with one set of constants: 12 hex digits. The first 4 say where packets come in and go
 * out, see `sidesOf`.
 */
export function fingerprintOf(constants: Constants): string {
  const { underlayAddress, underlay, uplink } = constants;
  const sides = createHash("sha256")
    .update(JSON.stringify([underlayAddress, underlay, uplink]))
    .digest("hex");
  const hash = createHash("sha256").update(JSON.stringify(constants));
  for (const { file } of objectsFor(constants)) hash.update(digestOf(objectPath(file)));
  return sides.slice(0, sidesDigits) + hash.digest("hex").slice(0, 12 - sidesDigits);
}

const digests = new Map<string, { readonly version: string; readonly digest: Buffer }>();

/** Of a file's content, which is read again when it is another file or was written since. */
function digestOf(path: string): Buffer {
  const { ino, size, mtimeMs, ctimeMs } = statSync(path);
  const version = `${ino} ${size} ${mtimeMs} ${ctimeMs}`; // packages may bear the same mtime each
  const known = digests.get(path);
  if (known?.version === version) return known.digest;
  const digest = createHash("sha256").update(readFileSync(path)).digest();
  digests.set(path, { version, digest });
  return digest;
}

/** As it is in the file. The caller closes it. */
export const openFile = (file: string): BpfObject => BpfObject.open(objectPath(file));

/** The caller closes it. */
export function openObject(file: string, instance: string, constants: Constants): BpfObject {
  const object = openFile(file);
  const buckets = flowBuckets(constants.flows);
  const variables: Record<string, Buffer> = {
    ...variablesOf(constants),
    flow_buckets: u32(buckets),
    flow_seed: flowSeed(instance),
  };
  for (const { name } of object.variables) {
    const value = variables[name];
    if (value) object.setVariable(name, value);
  }
  if (object.maps.some(({ name }) => name === "flows")) object.resizeMap("flows", buckets);
  return object;
}

/** How often conntrack is asked for a flow that is in use, and the kernel for a template's way. */
const [livenessSeconds, waySeconds] = [1, 0.1];

/** By their names in bpf/lib/config.h; those of the flow table apart. */
export function variablesOf(constants: Omit<Constants, "flows">): Record<string, Buffer> {
  const { underlay, uplink } = constants;
  return {
    underlay_address: addressBytes(constants.underlayAddress),
    liveness_jiffies: u32(ticksIn(livenessSeconds)),
    way_jiffies: u32(ticksIn(waySeconds)),
    has_bonds: u32(constants.hasBonds ? 1 : 0),
    tx_is_redirect: u32(constants.txIsRedirect ? 1 : 0),
    netns_inode: u32(constants.netnsInode),
    fragment_pool: u32(fragmentLimits.pool),
    fragment_share: u32(fragmentLimits.share),
    fragment_nic_share: u32(fragmentLimits.nicShare),
    ...(underlay
      ? {
          underlay_ifindex: u32(underlay.ifindex),
          underlay_others: othersVariable(underlay.others),
          ...tagVariables("underlay", underlay.tags),
        }
      : {}),
    ...(uplink
      ? {
          uplink_ifindex: u32(uplink.ifindex),
          uplink_mac: Buffer.concat([Buffer.from(uplink.mac.replaceAll(":", ""), "hex"), Buffer.alloc(2)]),
          ...tagVariables("uplink", uplink.tags),
        }
      : {}),
  };
}

/** Filled up with zeros: no device has that ifindex. */
function othersVariable(others: readonly number[]): Buffer {
  const words = u32(...others.slice(0, maxUnderlayOthers));
  return Buffer.concat([words, Buffer.alloc(maxUnderlayOthers * 4 - words.length)]);
}

function tagVariables(side: "underlay" | "uplink", tags: readonly number[]): Record<string, Buffer> {
  const words = Buffer.alloc(8);
  for (const [at, tag] of tags.entries()) words.writeUInt32BE(tag, at * 4);
  return { [`${side}_tag_bytes`]: u32(tags.length * 4), [`${side}_tags`]: words };
}

/** Maps that are pinned, of an object. */
export const pinnedMapNames = (object: BpfObject) => object.maps.filter((map) => !map.internal).map((map) => map.name);

/**
 * For the hash of the flow table, so that nobody outside can know which flows share a bucket. The same as long as the
 * pinned table lives, which is until the machine boots again.
 */
export function flowSeed(instance: string): Buffer {
  const boot = readFileSync("/proc/sys/kernel/random/boot_id");
  return createHash("sha256").update(boot).update(instance).digest().subarray(0, 8);
}
