import { expect, it } from "vitest";
import { deviceNames } from "../../../src/datapath/entries.js";

const names = deviceNames([
  { ifindex: 1, ifname: "lo", flags: [], mtu: 65536 },
  { ifindex: 7, ifname: "eth0.100", flags: [], mtu: 1500 },
]);

it("a device's number is found by its name, and the other way round", () => {
  expect([names.indexOf("eth0.100"), names.nameOf(7)]).toEqual([7, "eth0.100"]);
});

it("a device that has gone is named by its number, which leads back to it", () => {
  expect([names.nameOf(42), names.indexOf("#42")]).toEqual(["#42", 42]);
});

it("a device that does not exist has number 0", () => expect(names.indexOf("eth9")).toBe(0));
