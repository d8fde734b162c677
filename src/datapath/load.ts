/** The programs: which build with which constants is wanted, and how it gets into the kernel beside the maps in use. */

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { BpfError, BpfMap, BpfObject } from "libbpf-ts";
import { KernelError, XgwError } from "../errors.js";
import type { ProgramName } from "../plan/state.js";
import { addressBytes, u32 } from "./layout.js";
import type { Pins } from "./pins.js";

interface ObjectFile {
  readonly file: string;
  readonly programs: readonly ProgramName[];
  /** Only where somebody needs it; asks for more of the kernel than the others. */
  readonly isFor?: (constants: Constants) => boolean;
}

const objects: readonly ObjectFile[] = [
  { file: "xdp.bpf.o", programs: ["xgw_xdp"] },
  { file: "tc.bpf.o", programs: ["xgw_learn", "xgw_arp", "xgw_uplink"] },
  {
    file: "sessions.bpf.o",
    programs: ["xgw_session_born", "xgw_session_died"],
    isFor: ({ countsSessions }) => countsSessions,
  },
];

const objectsFor = (constants: Constants) => objects.filter(({ isFor }) => isFor?.(constants) ?? true);

/** Beside the bundle of the programs that are installed, or where the build has put them in a checkout. */
function objectPath(file: string): string {
  const places = ["../bpf/", "../../bpf/"].map((folder) => fileURLToPath(new URL(`${folder}${file}`, import.meta.url)));
  const found = places.find((place) => existsSync(place));
  if (found !== undefined) return found;
  throw new XgwError(`the BPF program ${file} is missing (looked for ${places.join(", ")})`, {
    remedy: "run `npm run build`, or install xgw again",
  });
}

/** Where a side's packets come in, and as what frames. */
export interface SideConstants {
  /** Of the NIC. */
  readonly ifindex: number;
  /** VLAN tags, the outermost first: the type in the upper 16 bits, the id in the lower. At most 2. */
  readonly tags: readonly number[];
}

/** Values of bpf/lib/config.h. */
export interface Constants {
  /** Dotted quad. */
  readonly underlayAddress: string;
  /** Of an underlay with VLAN tags. */
  readonly underlay?: SideConstants;
  /** `mac`: to which its packets are sent, with colons. */
  readonly uplink?: SideConstants & { readonly mac: string };
  /** What conntrack's timeouts of established connections are, milliseconds. */
  readonly tcpTimeoutMs: number;
  readonly udpTimeoutMs: number;
  /** Inode number of the network namespace. */
  readonly netnsInode: number;
  /** Whether any tenant's live connections are limited. */
  readonly countsSessions: boolean;
}

/** Names one build of the programs with one set of constants: 12 hex digits. */
export function fingerprintOf(constants: Constants): string {
  const hash = createHash("sha256").update(JSON.stringify(constants));
  for (const { file } of objectsFor(constants)) hash.update(readFileSync(objectPath(file)));
  return hash.digest("hex").slice(0, 12);
}

/**
 * Loads the programs and pins them; maps that are pinned already are kept, with all that is in them.
 *
 * @throws KernelError when this kernel does not take the programs
 * @throws XgwError when a pinned map has another layout
 */
export function loadDatapath(pins: Pins, fingerprint: string, constants: Constants): void {
  pins.prepare(fingerprint);
  for (const { file, programs } of objectsFor(constants)) loadObject(pins, fingerprint, constants, file, programs);
}

function loadObject(
  pins: Pins,
  fingerprint: string,
  constants: Constants,
  file: string,
  programs: readonly ProgramName[],
): void {
  using object = BpfObject.open(objectPath(file));
  const variables = { ...variablesOf(constants), flow_seed: flowSeed(pins.instance) };
  for (const { name } of object.variables) {
    const value = (variables as Record<string, Buffer>)[name];
    if (value) object.setVariable(name, value);
  }
  const maps = object.maps.filter((map) => !map.internal).map((map) => map.name);
  for (const name of maps) if (pins.hasMap(name)) reuseMap(object, pins, name);
  try {
    object.load();
  } catch (error) {
    throw loadError(file, error);
  }
  for (const name of maps) if (!pins.hasMap(name)) object.map(name).pin(pins.map(name));
  for (const name of programs) object.program(name).pin(pins.program(fingerprint, name));
}

/** By their names in bpf/lib/config.h. */
export function variablesOf(constants: Constants): Record<string, Buffer> {
  const { underlay, uplink } = constants;
  return {
    underlay_address: addressBytes(constants.underlayAddress),
    tcp_timeout_ms: u32(constants.tcpTimeoutMs),
    udp_timeout_ms: u32(constants.udpTimeoutMs),
    netns_inode: u32(constants.netnsInode),
    ...(underlay ? { underlay_ifindex: u32(underlay.ifindex), ...tagVariables("underlay", underlay.tags) } : {}),
    ...(uplink
      ? {
          uplink_ifindex: u32(uplink.ifindex),
          uplink_mac: Buffer.concat([Buffer.from(uplink.mac.replaceAll(":", ""), "hex"), Buffer.alloc(2)]),
          ...tagVariables("uplink", uplink.tags),
        }
      : {}),
  };
}

function tagVariables(side: "underlay" | "uplink", tags: readonly number[]): Record<string, Buffer> {
  const words = Buffer.alloc(8);
  for (const [at, tag] of tags.entries()) words.writeUInt32BE(tag, at * 4);
  return { [`${side}_tag_bytes`]: u32(tags.length * 4), [`${side}_tags`]: words };
}

/**
 * For the hash of the flow table, so that nobody outside can know which flows share a bucket. The same as long as the
 * pinned table lives, which is until the machine boots again.
 */
function flowSeed(instance: string): Buffer {
  const boot = readFileSync("/proc/sys/kernel/random/boot_id");
  return createHash("sha256").update(boot).update(instance).digest().subarray(0, 8);
}

function reuseMap(object: BpfObject, pins: Pins, name: string): void {
  using map = BpfMap.openPinned(pins.map(name));
  try {
    object.reuseMap(name, map);
  } catch (cause) {
    throw new XgwError(
      `the map ${pins.map(name)} has another layout than this version's: ${(cause as Error).message}`,
      {
        cause,
        remedy: "run `xgw teardown`, then `xgw apply`; live flows start again by the kernel",
      },
    );
  }
}

function loadError(file: string, error: unknown): unknown {
  if (!(error instanceof BpfError) || error.code === "EPERM") return error;
  return new KernelError(`this kernel does not take ${file}: ${error.message}`, {
    cause: error,
    remedy: "xgw needs Linux 6.12 or later with BTF, and the nf_conntrack module loaded",
    details: { verifierLog: error.verifierLog },
  });
}
