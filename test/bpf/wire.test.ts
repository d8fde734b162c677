// The far end of a cable, in raw frames: what is put on it arrives at the NIC, and what the NIC sends is kept.
import { afterAll, beforeAll, expect, it } from "vitest";
import { Namespace } from "../../vm/lab/netns.js";
import { cable, Wire } from "../../vm/lab/wire.js";
import { dissect } from "./support/dissect.js";
import { arp, ethernet, icmp, ipv4 } from "./support/packet.js";

const far = "02:00:00:00:00:07";
const near = "02:00:00:00:00:01";
let gateway: Namespace;
let outside: Namespace;
let wire: Wire | undefined;

beforeAll(async () => {
  gateway = await Namespace.create(`xgw-wire-${process.pid}-gw`);
  outside = await Namespace.create(`xgw-wire-${process.pid}-far`);
  await cable(gateway, "eth0", outside, "wire0");
  await gateway.ip(`link set eth0 address ${near}`, "addr add 192.0.2.1/24 dev eth0");
  wire = Wire.open({ netns: outside.path, device: "wire0" });
});
afterAll(async () => {
  wire?.[Symbol.dispose]();
  await gateway.delete();
  await outside.delete();
});

it("the kernel's answer to a frame comes back whole, in the same call", () => {
  const question = arp({
    operation: "request",
    senderMac: far,
    sender: "192.0.2.7",
    targetMac: "00:00:00:00:00:00",
    target: "192.0.2.1",
  });
  const answer = arp({
    operation: "reply",
    senderMac: near,
    sender: "192.0.2.1",
    targetMac: far,
    target: "192.0.2.7",
  });
  expect(wire?.ask(question).map(dissect)).toEqual([dissect(answer)]);
});

it("a packet of the MTU and its answer", async () => {
  await gateway.ip(`neigh replace 192.0.2.7 lladdr ${far} dev eth0 nud permanent`);
  const ping = (bytes: number) =>
    ethernet({ src: far, dst: near }, ipv4({ src: "192.0.2.7", dst: "192.0.2.1" }, icmp("x".repeat(bytes))));
  expect(wire?.ask(ping(1472)).map((frame) => frame.length)).toEqual([1514]);
  expect(() => wire?.ask(ping(1477)), "beyond the MTU and a VLAN tag").toThrow("did not take a frame of 1519 bytes");
});

it("nothing that was not sent", async () => {
  expect(await wire?.settled()).toEqual([]);
});
