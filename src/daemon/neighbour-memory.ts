/**
 * The last known link-layer address of each neighbour, by which a change is known as one. The kernel's own table does not
 * do: it forgets neighbours that only XDP still sends to, and is told of a new address only. Bounded: when it is full, the
 * device with the most neighbours forgets the one that was told of longest ago. What comes on a device that has forgotten
 * some counts as changed when it is not known, so that no change is missed; that is at the expense of who had too many.
 */

import { parseAddress } from "../model/ipv4.js";

/** Neighbours on all devices but NICs, some 70 bytes each. */
export const poolMax = 262_144;
/** Neighbours on a NIC's wire: all of a subnet as large as they are in practice. */
export const perNicMax = 65_536;
/** Devices that are not xgw's and that a later config may name; of more, those that were told of first are forgotten. */
const othersMax = 64;

const keyOf = (address: string) => parseAddress(address) ?? address;

class Device {
  /** Link-layer addresses by address, that which was told of longest ago first. As numbers, which take less memory. */
  readonly known = new Map<number | string, number | string>();
  /** Goes on where it stopped: a new one would have to pass all places of what was deleted. */
  private readonly byAge = this.known.keys();
  private hasForgotten = false;

  constructor(readonly name: string) {}

  learn(address: string, linkAddress: string): boolean {
    const key = keyOf(address);
    const value = /^(..:){5}..$/.test(linkAddress) ? Number(`0x${linkAddress.replaceAll(":", "")}`) : linkAddress;
    const before = this.known.get(key);
    this.known.delete(key);
    this.known.set(key, value);
    return before === undefined ? this.hasForgotten : before !== value;
  }

  forgetOldest(): void {
    const oldest = this.byAge.next();
    if (!oldest.done) this.known.delete(oldest.value);
    this.hasForgotten = true;
  }
}

export interface Learned {
  /** Packets to it may go to another address than they should. */
  readonly isChange: boolean;
  /** The device on which another neighbour was forgotten for it. */
  readonly forgot?: string;
}

export class NeighbourMemory {
  private readonly devices = new Map<string, Device>();
  private nics: ReadonlySet<string> = new Set();
  private ours: ReadonlySet<string> = new Set();
  /** Neighbours on devices that are no NICs. */
  private pooled = 0;
  /** The device with the most of them, or nearly so, */
  private largest: Device | undefined;
  /** and how many it had when it was found to be that. */
  private largestSize = 0;

  constructor(
    private readonly inPoolMax = poolMax,
    private readonly onNicMax = perNicMax,
  ) {}

  /** Forgets tunnels that are not there any more. @param ours the tenants' devices */
  follow(nics: ReadonlySet<string>, ours: ReadonlySet<string>): void {
    for (const name of this.devices.keys()) if (this.ours.has(name) && !ours.has(name)) this.devices.delete(name);
    this.nics = nics;
    this.ours = ours;
    this.elect(undefined);
    this.pooled = 0;
    for (const [name, { known }] of this.devices) if (!nics.has(name)) this.pooled += known.size;
  }

  learn(deviceName: string, address: string, linkAddress: string): Learned {
    const device = this.devices.get(deviceName) ?? this.begin(deviceName);
    const before = device.known.size;
    const isChange = device.learn(address, linkAddress);
    if (this.nics.has(deviceName)) {
      if (device.known.size <= this.onNicMax) return { isChange };
      device.forgetOldest();
      return { isChange, forgot: deviceName };
    }
    this.pooled += device.known.size - before;
    if (device.known.size > (this.largest?.known.size ?? 0)) this.elect(device);
    return this.pooled <= this.inPoolMax ? { isChange } : { isChange, forgot: this.forgetOfLargest() };
  }

  knows(deviceName: string, address: string): boolean {
    return this.devices.get(deviceName)?.known.has(keyOf(address)) ?? false;
  }

  /** How many neighbours are known. */
  get size(): number {
    let size = 0;
    for (const { known } of this.devices.values()) size += known.size;
    return size;
  }

  private begin(name: string): Device {
    const device = new Device(name);
    this.devices.set(name, device);
    if (!this.ours.has(name) && !this.nics.has(name)) this.forgetOthers();
    return device;
  }

  private forgetOthers(): void {
    const others = [...this.devices].filter(([name]) => !this.ours.has(name) && !this.nics.has(name));
    for (const [name, { known }] of others.slice(0, -othersMax)) {
      this.devices.delete(name);
      this.pooled -= known.size;
      if (this.largest?.name === name) this.elect(undefined);
    }
  }

  private elect(device: Device | undefined): void {
    this.largest = device;
    this.largestSize = device?.known.size ?? 0;
  }

  private forgetOfLargest(): string {
    // One that has learned nothing for a while may have more by now. Looked for so seldom that it costs little each time.
    if (!this.largest || this.largest.known.size <= this.largestSize / 2) {
      this.elect(undefined);
      for (const device of this.devices.values())
        if (!this.nics.has(device.name) && device.known.size > this.largestSize) this.elect(device);
    }
    this.largest?.forgetOldest();
    this.pooled--;
    return this.largest?.name ?? "";
  }
}
