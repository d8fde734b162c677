import { expect, it } from "vitest";
import { deviceNames } from "../../../src/datapath/entries.js";

const names = deviceNames([
  { ifindex: 1, name: "lo", isUp: true, mtu: 65536, group: 0 },
  { ifindex: 7, name: "eth0.100", isUp: true, mtu: 1500, group: 0 },
]);

it("a device's number is found by its name, and the other way round", () => {
  expect([names.indexOf("eth0.100"), names.nameOf(7)]).toEqual([7, "eth0.100"]);
});

it("a device that has gone is named by its number, which leads back to it", () => {
  expect([names.nameOf(42), names.indexOf("#42")]).toEqual(["#42", 42]);
});

it("a device that does not exist has number 0", () => expect(names.indexOf("eth9")).toBe(0));
