/** The machine's own addresses, and whether the underlay's is one of them. */

import type { Config } from "../config/schema.js";
import { KernelError } from "../errors.js";
import { type InterfaceAddress, type Link, linkNames, readAddresses, readLinks } from "../kernel/rtnetlink.js";
import { isOurs } from "./slow-path.js";

/** Those of devices that are neither xgw's nor in a VRF: what the main tables know. */
export function machineAddresses(
  instance: string,
  links: readonly Link[],
  addresses: readonly InterfaceAddress[],
): InterfaceAddress[] {
  const vrfs = new Set(links.flatMap(({ name, vrf }) => (vrf ? [name] : [])));
  const others = new Set(
    links.filter((link) => !isOurs(instance, link) && !vrfs.has(link.master ?? link.name)).map(({ name }) => name),
  );
  return addresses.filter(({ device }) => others.has(device));
}

/** Addresses that the refusal names. */
const namedMax = 20;

/**
 * Whether tunnelled packets can come at all. A missing device is found elsewhere, with better words.
 *
 * @throws KernelError when no device of the main tables has `underlay.address`; it names the addresses there are
 */
export function checkUnderlayAddress({ instance, underlay }: Config): void {
  const links = readLinks();
  if (!links.some(({ name }) => name === underlay.device)) return;
  const all = readAddresses(linkNames(links));
  const owned = machineAddresses(instance, links, all);
  if (owned.some(({ address }) => address === underlay.address)) return;
  const words = ({ device, address, prefixLength }: InterfaceAddress) => `${address}/${prefixLength} on ${device}`;
  const there = owned.filter(({ address }) => !address.startsWith("127.")).sort((a, b) => rank(a) - rank(b));
  const inVrf = all.find(({ address }) => address === underlay.address);
  const named = there.slice(0, namedMax).map(words).join(", ") || "none";
  const more = there.length > namedMax ? ` and ${there.length - namedMax} more` : "";
  throw new KernelError(
    `no device has underlay.address ${underlay.address}${inVrf ? `, but ${inVrf.device}, which is in a VRF` : ""}; there are: ${named}${more}`,
    {
      remedy: `correct the config, or add it: ip address add ${underlay.address}/${lengthBeside()} dev ${underlay.device}`,
      details: { address: underlay.address, device: underlay.device },
    },
  );

  /** Those of the underlay's device first. */
  function rank({ device }: InterfaceAddress): number {
    return device === underlay.device ? 0 : 1;
  }

  function lengthBeside(): number {
    return there.find(({ device }) => device === underlay.device)?.prefixLength ?? 24;
  }
}
