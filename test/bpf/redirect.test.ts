// A gateway with two NICs: a flow leaves by the one that its template names.
import { inNetNamespace } from "libbpf-ts";
import { afterAll, beforeEach, expect, it } from "vitest";
import { Datapath } from "./support/datapath.js";
import { expectFrame, expectPassed } from "./support/expectations.js";
import { makeNamespace } from "./support/kernel.js";
import { user1, World } from "./support/world.js";

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
  const { original } = world.establish({ ifindex: second });
  const outcome = datapath.receive(original.arrives(), { netns: namespace.path, ingressIfindex: first });
  expect(outcome.summary).toBe("redirect, tenant 1: forwarded");
  expectFrame(outcome.frame, original.leaves());
});

it("by a NIC that has been taken out of the config: the kernel's", () => {
  isOurs(first);
  const { original } = world.establish({ ifindex: second });
  const frame = original.arrives();
  const outcome = datapath.receive(frame, { netns: namespace.path, ingressIfindex: first });
  expectPassed(outcome, frame, user1, "template");
});
