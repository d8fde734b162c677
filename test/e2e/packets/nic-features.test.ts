// What a NIC can, and does, is changed under a gateway whose underlay is a VLAN of it.
import { afterAll, beforeAll, expect, it } from "vitest";
import { gatewayAddress, RawGateway } from "../support/raw-gateway.js";

const config = `apiVersion: xgw/v1
instance: tagged
underlay: { device: eth0.7, address: ${gatewayAddress} }
nics: [{ name: eth0, xdp: native }]
tenants:
  - name: user1
    key: 1000
    addresses: [10.0.0.1/24]
    routes: [{ to: 10.0.0.7/32, via: 172.168.0.11 }]
`;

let raw: RawGateway;
beforeAll(async () => {
  raw = await RawGateway.start({
    config,
    endpoints: [],
    neighbours: {},
    setUp: ["link add link eth0 name eth0.7 type vlan id 7", "link set eth0.7 up"],
  });
});
afterAll(() => raw[Symbol.asyncDispose]());

const feature = async () => /rx-vlan-offload: \w+/.exec(await raw.gateway.run("ethtool", "-k", "eth0"))?.[0];

it("a NIC that is told to take tags off is not in step, and apply turns it back", async () => {
  await raw.gateway.run("ethtool", "-K", "eth0", "rxvlan", "on");
  const { code, stdout } = await raw.tryXgw("plan");
  await raw.apply();
  expect({ code, stdout: stdout.trim(), after: await feature() }).toEqual({
    code: 1,
    stdout: expect.stringMatching(/^ {2}~ NIC eth0: rx-vlan-hw-parse off$/m),
    after: "rx-vlan-offload: off",
  });
});

it("flows are left to the kernel when the NIC no longer sends what XDP sends, and that is said", async () => {
  raw.deafen();
  const { code, stdout } = await raw.tryXgw("plan");
  await raw.apply();
  const status = await raw.tryXgw("status");
  expect({ code, stdout: stdout.trim(), warned: status.stdout + status.stderr }).toEqual({
    code: 1,
    stdout: expect.stringMatching(/^ {2}- map nics.*eth0$/m),
    warned: expect.stringMatching(/NIC eth0 does not send what XDP redirects to it: flows .* left to the kernel/),
  });
});
