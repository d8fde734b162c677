/**
 * The part of the nft table that grows with the number of tenants: what a share of 128 zones has for itself. A look-up in
 * a verdict map leads each packet to its share's, so that no list in the kernel gets longer than a share:
 * - Flowtables: the kernel takes fewer than 256 devices in one request (NFT_NETDEVICE_MAX), and can tell of no more than
 *   fit a netlink message: all devices of a flowtable are in one, a page where memory is scarce or listeners are notified
 *   (nf_tables_fill_flowtable_info). 128 of 20 bytes do.
 * - Maps with ranges in their keys: a look-up goes through a bit for each element (nft_pipapo_lookup), and a deletion
 *   through all elements before its own (nft_pipapo_remove), so that thousands of tenants would slow each other down.
 */

import { type Chain, digestOf } from "./seal.js";

const zonesPerShare = 128;

export const shareOf = (zone: number): number => Math.floor(zone / zonesPerShare);

/** Which of a zone's bits are its share's: the key of the verdict maps. */
export const shareMask = 0xffff & ~(zonesPerShare - 1);

/** What the flowtables are named, less the share's number. */
export const flowtablePart = "fastpath";

/** The name of the flowtable that a tenant's tunnel is in: all that the flowtable takes of a tenant comes in by that. */
export const flowtableOf = (zone: number): string => `${flowtablePart}${shareOf(zone)}`;

export const shareOfFlowtable = (name: string): number => Number(name.slice(flowtablePart.length));

interface Part {
  /** The declaration of an object with these devices. */
  readonly declare: (name: string, devices: readonly string[]) => string;
  /** That use it. */
  readonly rules: (name: string) => readonly string[];
  /** Of a map: what its keys and values are made of, as nft writes it. */
  readonly types?: string;
}

const intervalMap = (types: string, rules: Part["rules"]): Part => ({
  declare: (name) => `map TABLE ${name} { typeof ${types}; flags interval; }`,
  rules,
  types,
});

/**
 * A connection keeps its port where nobody else has it for the same destination. The kernel looks for another below 512, from
 * 600 to 1023, or above, as the port was (nf_nat_l4proto_unique_tuple), unless it is told where: hosts that all send from
 * port 123 may have any.
 */
const shareAddress: Part["rules"] = (name) => [
  `ip protocol { tcp, udp } th sport 1-1023 snat ip to ct zone . ip saddr map @${name} : 1-65535`,
  `snat ip to ct zone . ip saddr map @${name}`,
];

function declareFlowtable(name: string, devices: readonly string[]): string {
  return `flowtable TABLE ${name} { hook ingress priority filter; devices = { ${devices.join(", ")} }; }`;
}

/** By the name of the objects, less the share's number. */
const parts: Readonly<Record<string, Part>> = {
  [flowtablePart]: { declare: declareFlowtable, rules: (name) => [`flow add @${name}`] },
  forward_range: intervalMap("ct zone . ip daddr . ip protocol . th dport : ip daddr", (name) => [
    `dnat ip to ct zone . ip daddr . ip protocol . th dport map @${name}`,
  ]),
  shared_to: intervalMap("ct zone . ip saddr : ip saddr", shareAddress),
  inbound: intervalMap("ct zone . ip protocol . ip saddr . th dport : ct mark", (name) => [
    `ct mark set ct zone . ip protocol . ip saddr . th dport map @${name}`,
  ]),
  outbound: intervalMap("ct zone . ip protocol . ip daddr . th dport : ct mark", (name) => [
    `ct mark set ct zone . ip protocol . ip daddr . th dport map @${name}`,
  ]),
};

/** Of the maps of shares, by the set that they are part of. */
export const shareTypes: ReadonlyMap<string, string> = new Map(
  Object.entries(parts).flatMap(([name, { types }]) => (types === undefined ? [] : [[name, types] as const])),
);

const partNames = Object.keys(parts);

/** Sets whose keys may be ranges: each is a map for each share. */
export const intervalSets: readonly string[] = partNames.filter((name) => name !== flowtablePart);

/** The map that an element is in. Keys of intervals begin with the zone. */
export function mapOf(set: string, key: string): string {
  return intervalSets.includes(set) ? `${set}${shareOf(Number.parseInt(key, 10))}` : set;
}

/** The set that a map of a share is part of; the name itself when it is none. */
export function setOfMap(name: string): string {
  const set = name.replace(/\d+$/, "");
  return intervalSets.includes(set) ? set : name;
}

/** By the first zone of a share, a jump to the chain of its part. */
export const verdictMap = (part: string) => `${part}_shares`;
export const isVerdictMap = (name: string): boolean => partNames.some((part) => verdictMap(part) === name);

export const chainOf = (part: string, share: number) => `to_${part}${share}`;

/** Declarations of the verdict maps, for the constant part of the table. */
export const verdictMaps: string = partNames
  .map((part) => `\tmap ${verdictMap(part)} { typeof ct zone : verdict; }\n`)
  .join("");

/** The statement that leads to a share's part. */
export const toShare = (part: string): string => `ct zone & 0x${shareMask.toString(16)} vmap @${verdictMap(part)}`;

/** Adds devices to the flowtable of a share that is whole, or takes some of them out. */
export const devicesScript = (
  verb: "add" | "delete",
  table: string,
  share: number,
  devices: readonly string[],
): string => `${verb} ${declareFlowtable(`${flowtablePart}${share}`, devices).replace("TABLE", table)}\n`;

/** Makes what is not there of a share yet, with these devices, and leads its zones there. */
export function shareScript(table: string, share: number, devices: readonly string[]): string {
  return Object.entries(parts)
    .map(([part, { declare, rules }]) => {
      const name = `${part}${share}`;
      const chain = `${table} ${chainOf(part, share)}`;
      return `add ${declare(name, devices).replace("TABLE", table)}
add chain ${chain}
flush chain ${chain}
${rules(name)
  .map((rule) => `add rule ${chain} ${rule}\n`)
  .join("")}add element ${table} ${verdictMap(part)} { ${share * zonesPerShare} : jump ${chainOf(part, share)} }
`;
    })
    .join("");
}

type ChainNamed = (name: string) => Chain | undefined;

/** The name of the seal of a share's rules, when they are as in these chains. */
export const sealOfShare = (share: number, chainNamed: ChainNamed): string =>
  `xgw_seal${share}_${digestOf(partNames.map((part) => chainNamed(chainOf(part, share))))}`;

/**
 * Whether a share's zones are led to each part of it, and the rules there are xgw's.
 *
 * @param jumpOf the chain that a verdict map leads this zone to
 * @param chainNamed the chain of that name
 */
export function isShareWhole(
  share: number,
  jumpOf: (map: string, zone: string) => string | undefined,
  chainNamed: ChainNamed,
): boolean {
  const zone = String(share * zonesPerShare);
  const isInPlace = ([part, { rules }]: readonly [string, Part]) => {
    const chain = chainOf(part, share);
    return jumpOf(verdictMap(part), zone) === chain && chainNamed(chain)?.rules.length === rules("").length;
  };
  return Object.entries(parts).every(isInPlace) && chainNamed(sealOfShare(share, chainNamed)) !== undefined;
}
