// A change of a link-layer address is known as one, whoever fills the memory.
import { describe, expect, it } from "vitest";
import { NeighbourMemory } from "../../../src/daemon/neighbour-memory.js";

const mac = (number: number) => `02:00:00:00:00:${number.toString(16).padStart(2, "0")}`;
const address = (number: number) => `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`;

/** With two NICs' and two tenants' devices. */
function memory(poolMax?: number, perNicMax?: number): NeighbourMemory {
  const one = new NeighbourMemory(poolMax, perNicMax);
  one.follow(new Set(["eth0", "eth1"]), new Set(["xgre1", "xgre2"]));
  return one;
}

/** @returns the devices that have forgotten some for it */
function flood(one: NeighbourMemory, device: string, neighbours: number): Set<string> {
  const forgot = new Set<string>();
  for (let number = 0; number < neighbours; number++) {
    const learned = one.learn(device, address(number), mac(1));
    if (learned.forgot !== undefined) forgot.add(learned.forgot);
  }
  return forgot;
}

describe("a neighbour's address", () => {
  it("is no change the first time", () => {
    expect(memory().learn("xgre1", "10.0.0.7", mac(1))).toEqual({ isChange: false });
  });

  it("is a change when it was another", () => {
    const one = memory();
    one.learn("xgre1", "10.0.0.7", mac(1));
    expect(one.learn("xgre1", "10.0.0.7", mac(2))).toEqual({ isChange: true });
  });

  it("is no change when another tenant's host of the same address has another", () => {
    const one = memory();
    one.learn("xgre1", "10.0.0.7", mac(1));
    expect(one.learn("xgre2", "10.0.0.7", mac(2))).toEqual({ isChange: false });
  });
});

describe("of a tenant that answers for a whole /8", () => {
  it("as much is remembered as there is room for", () => {
    const one = memory(1000);
    flood(one, "xgre1", 100_000);
    expect(one.size).toBe(1000);
  });

  it("and others' hosts are not forgotten for it", () => {
    const one = memory(1000);
    flood(one, "xgre2", 100);
    expect(flood(one, "xgre1", 100_000)).toEqual(new Set(["xgre1"]));
    expect(one.learn("xgre2", address(0), mac(2)).isChange).toBe(true);
  });

  it("nor are others kept from being remembered afterwards", () => {
    const one = memory(1000);
    flood(one, "xgre1", 100_000);
    expect(flood(one, "xgre2", 100)).toEqual(new Set(["xgre1"]));
  });

  it("what was forgotten counts as changed when it comes again", () => {
    const one = memory(1000);
    flood(one, "xgre1", 1001);
    expect(one.learn("xgre1", address(0), mac(2)).isChange).toBe(true);
  });

  it("what was told of last is remembered", () => {
    const one = memory(1000);
    one.learn("xgre1", address(5), mac(1));
    flood(one, "xgre1", 999);
    one.learn("xgre1", address(5), mac(1));
    flood(one, "xgre2", 400);
    expect(one.learn("xgre1", address(5), mac(1)).isChange).toBe(false);
  });

  it("nothing is remembered when the tenant has gone", () => {
    const one = memory();
    flood(one, "xgre1", 1000);
    one.follow(new Set(["eth0"]), new Set(["xgre2"]));
    expect(one.size).toBe(0);
  });
});

it("of two tenants with too many, both keep the same", () => {
  const one = memory(1000);
  for (let number = 0; number < 5000; number++)
    for (const device of ["xgre1", "xgre2"]) one.learn(device, address(number), mac(1));
  const left = ["xgre1", "xgre2"].map((device) => {
    let kept = 0;
    for (let number = 0; number < 5000; number++) if (one.knows(device, address(number))) kept++;
    return kept;
  });
  expect(Math.max(...left) - Math.min(...left)).toBeLessThanOrEqual(2);
});

describe("on a NIC", () => {
  it("no tenant's host takes a neighbour's place", () => {
    const one = memory(10);
    flood(one, "eth0", 100);
    flood(one, "xgre1", 100);
    expect(one.size).toBe(110);
  });

  it("strangers without end are remembered to a number, and forgotten for each other", () => {
    const one = memory(10, 50);
    expect([flood(one, "eth0", 1000), one.size]).toEqual([new Set(["eth0"]), 50]);
  });
});

it("devices of others that come and go are forgotten", () => {
  const one = memory();
  for (let number = 0; number < 1000; number++) one.learn(`veth${number}`, "10.0.0.7", mac(1));
  expect(one.size).toBe(64);
});
