// A gateway with two NICs: a flow leaves by the one that its template names.
import { inNetNamespace } from "libbpf-ts";
import { afterAll, beforeEach, expect, it } from "vitest";
import { Datapath } from "./support/datapath.js";
import { expectFrame, expectPassed } from "./support/expectations.js";
import { makeNamespace } from "./support/kernel.js";
import { macs, user1, World } from "./support/world.js";

const datapath = new Datapath();
afterAll(() => datapath[Symbol.dispose]());
const world = new World(datapath);
beforeEach(() => world.reset());
const namespace = makeNamespace();
const [first, second] = namespace.veth;

const isOurs = (ifindex: number) => inNetNamespace(namespace.path, () => datapath.nics.set(ifindex, ifindex));
/** A veth hands its packets to XDP, and so may be named in a test run, once it runs a program. */
const attached = inNetNamespace(namespace.path, () => [
  datapath.xdpProgram.attachXdp({ ifindex: first, mode: "native" }),
  datapath.xdpProgram.attachXdp({ ifindex: second, mode: "native" }),
]);
afterAll(() => {
  for (const attachment of attached) attachment.close();
});

it("by the NIC that it came in by: transmitted", () => {
  isOurs(first);
  const { original } = world.establish({ ifindex: first });
  const outcome = datapath.receive(original.arrives(), { netns: namespace.path, ingressIfindex: first });
  expect(outcome.summary).toBe("tx, tenant 1: forwarded");
  expectFrame(outcome.frame, original.leaves());
});

it("by the other NIC: redirected", () => {
  isOurs(second);
  datapath.takeFrames(first, macs.gateway);
  const { original } = world.establish({ ifindex: second });
  const outcome = datapath.receive(original.arrives(), { netns: namespace.path, ingressIfindex: first });
  expect(outcome.summary).toBe("redirect, tenant 1: forwarded");
  expectFrame(outcome.frame, original.leaves());
});

const [firstMac, otherMac] = ["02:00:00:00:00:0a", "02:00:00:00:00:0b"];

it("by the other NIC, sent to the MAC address of the one that it came in by: redirected", () => {
  isOurs(second);
  datapath.takeFrames(first, firstMac);
  const { original } = world.establish({ ifindex: second });
  const frame = original.arrives({}, { dstMac: firstMac });
  const outcome = datapath.receive(frame, { netns: namespace.path, ingressIfindex: first });
  expect(outcome.summary).toBe("redirect, tenant 1: forwarded");
});

it("by the other NIC, sent to another host's MAC address: the kernel's", () => {
  isOurs(second);
  datapath.takeFrames(first, firstMac);
  datapath.takeFrames(second, otherMac);
  const { original } = world.establish({ ifindex: second });
  for (const dstMac of [otherMac, macs.client, "02:00:00:00:01:0a", "03:00:00:00:00:0a"]) {
    const frame = original.arrives({}, { dstMac });
    const outcome = datapath.receive(frame, { netns: namespace.path, ingressIfindex: first });
    expectPassed(outcome, frame, user1, "other_host");
  }
});

it("by a NIC that has been taken out of the config: the kernel's", () => {
  isOurs(first);
  datapath.takeFrames(first, macs.gateway);
  const { original } = world.establish({ ifindex: second });
  const frame = original.arrives();
  const outcome = datapath.receive(frame, { netns: namespace.path, ingressIfindex: first });
  expectPassed(outcome, frame, user1, "template");
});

// A veth whose peer has GRO and no program takes what XDP_TX gives it, and wakes nobody (veth_xdp_flush).
it("by the NIC that it came in by, of a kind that sends as by a redirect: so; and if it cannot: the kernel's", () => {
  using asRedirect = new Datapath({ txIsRedirect: true });
  const world = new World(asRedirect);
  world.reset();
  asRedirect.takeFrames(first, macs.gateway);
  const { original } = world.establish({ ifindex: first });
  const frame = original.arrives();
  const run = () => asRedirect.receive(frame, { netns: namespace.path, ingressIfindex: first });
  expectPassed(run(), frame, user1, "template");
  inNetNamespace(namespace.path, () => asRedirect.nics.set(first, first));
  expect(run().summary).toBe("redirect, tenant 1: forwarded");
});
