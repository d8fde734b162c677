// A NIC that is a bond: the kernel names the member by which a packet came, the config and the templates name the bond.
import { inNetNamespace } from "libbpf-ts";
import { afterAll, beforeEach, expect, it } from "vitest";
import { Datapath } from "./support/datapath.js";
import { expectFrame, expectPassed, nobody } from "./support/expectations.js";
import { makeNamespace } from "./support/kernel.js";
import { macs, user1, World } from "./support/world.js";

const namespace = makeNamespace();
const [member, other] = namespace.veth;
/** No device is there of this ifindex: a test run needs none. */
const bond = 7;

const datapath = new Datapath({
  hasBonds: true,
  underlay: { ifindex: bond, tags: [], others: [] },
  uplink: { ifindex: bond, tags: [], mac: macs.gateway },
});
afterAll(() => datapath[Symbol.dispose]());
const world = new World(datapath);
beforeEach(() => {
  world.reset();
  datapath.bondMembers.set(member, bond);
  datapath.takeFrames(bond, macs.gateway);
});
/** A veth hands its packets to XDP, and so may be named in a test run, once it runs a program. */
const attached = inNetNamespace(namespace.path, () =>
  [member, other].map((ifindex) => datapath.xdpProgram.attachXdp({ ifindex, mode: "native" })),
);
afterAll(() => {
  for (const attachment of attached) attachment.close();
});

const receive = (frame: Buffer, ingressIfindex = member) =>
  datapath.receive(frame, { netns: namespace.path, ingressIfindex });

it("what comes by a member, and leaves by the bond, is transmitted", () => {
  const { original } = world.establish({ ifindex: bond });
  const outcome = receive(original.arrives());
  expect(outcome.summary).toBe("tx, tenant 1: forwarded");
  expectFrame(outcome.frame, original.leaves());
});

it("what comes by a member of the uplink's bond is the uplink's", () => {
  const { original } = world.establish({ plain: true, ifindex: bond });
  const outcome = receive(original.arrives());
  expect(outcome.summary).toBe("tx, tenant 1: forwarded");
});

it("what comes by a member, and leaves by another NIC, is redirected", () => {
  inNetNamespace(namespace.path, () => datapath.nics.set(other, other));
  const { original } = world.establish({ ifindex: other });
  expect(receive(original.arrives()).summary).toBe("redirect, tenant 1: forwarded");
});

it("what comes by a member, sent to another host's MAC address, is the kernel's", () => {
  const { original } = world.establish({ ifindex: bond });
  const frame = original.arrives({}, { dstMac: macs.client });
  expectPassed(receive(frame), frame, user1, "other_host");
});

it("what comes by a member that the bond takes nothing by is the kernel's", () => {
  const { original } = world.establish({ ifindex: bond });
  const frame = original.arrives();
  expectPassed(receive(frame, other), frame, nobody, "host");
});
