import { expect, it } from "vitest";
import { NameStandIns } from "../../../src/report/names.js";

const names = new NameStandIns(
  new Map([
    ["acme", "tenant"],
    ["acme-labs", "tenant"],
    ["eth0", "device"],
    ["eth0.100", "device"],
    ["gw.example.net", "host"],
  ]),
);

it("replaces names by what they are names of", () => {
  expect(names.replace('tenant "acme" on eth0')).toBe('tenant "tenant-1" on device-1');
});

it("takes the longest name", () => {
  expect(names.replace("acme-labs eth0.100@eth0")).toBe("tenant-2 device-2@device-1");
});

it("finds names between what is no letter or digit", () => {
  expect(names.replace("xdp_eth0 xgw/gw1/acme: gw.example.net: acme-labs-2")).toBe(
    "xdp_device-1 xgw/gw1/tenant-1: host-1: tenant-2-2",
  );
});

it("leaves words alone that only have a name inside", () => {
  expect(names.replace("veth0 acmes")).toBe("veth0 acmes");
});

it("gives nobody's name to anybody", () => {
  const taken = new NameStandIns(
    new Map([
      ["tenant-1", "tenant"],
      ["acme", "tenant"],
    ]),
  );
  expect([...taken.replaced.values()]).toEqual(["tenant-2", "tenant-3"]);
});
