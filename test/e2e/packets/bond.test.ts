// A gateway whose NIC is a bond: XDP runs on its members, and carries what the bond takes, by whichever of them it comes.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Conversation, Conversations } from "../support/conversations.js";
import { bondMembers, type End, gatewayAddress, RawGateway } from "../support/raw-gateway.js";

const config = `apiVersion: xgw/v1
instance: bonded
underlay: { device: eth0, address: ${gatewayAddress} }
nics: [{ name: eth0, xdp: native }]
tenants:
  - name: user1
    key: 1000
    addresses: [1.1.1.11/24, 10.0.0.1/24]
    routes:
      - { to: 10.0.0.0/24, via: 172.168.0.11 }
      - { to: 1.1.1.7/32, via: 172.168.0.7 }
`;
const hosts: End = { kind: "gretap", key: 1000, endpoint: "172.168.0.11" };
const far: End = { kind: "gretap", key: 1000, endpoint: "172.168.0.7" };

let raw: RawGateway;
let talk: Conversations;
let nextPort = 30_000;

beforeAll(async () => {
  raw = await RawGateway.start({
    config,
    endpoints: [hosts.endpoint, far.endpoint],
    neighbours: { 1000: ["10.0.0.7", "1.1.1.7"] },
    bond: "mode balance-rr miimon 100",
  });
});
afterAll(() => raw[Symbol.asyncDispose]());

async function begin(bond: string): Promise<void> {
  await raw.bondAnew(bond);
  talk = new Conversations(raw, hosts, far);
  const conversations = [1, 2, 3, 4].map(
    (): Conversation => ({ client: "10.0.0.7", server: "1.1.1.7", sport: nextPort++, dport: 80 }),
  );
  expect(await talk.begin(conversations)).toEqual({ tried: 4, begun: 4 });
}

const all = { packets: 8, lost: 0, byXdp: 8 };
const none = { packets: 8, lost: 8, byXdp: 0 };

describe("XDP carries live connections over a bond in the mode", () => {
  for (const mode of ["balance-rr", "balance-xor", "balance-xor xmit_hash_policy layer3+4"])
    it(`${mode}, by both members`, async () => {
      await begin(`mode ${mode} miimon 100`);
      const carried = [];
      for (const member of bondMembers) {
        raw.comeBy(member);
        carried.push(await talk.goOn());
      }
      expect(carried).toEqual([all, all]);
    });

  it("active-backup, by the active member; what comes by the other is nobody's, as without XDP", async () => {
    await begin("mode active-backup miimon 100");
    const active = await talk.goOn();
    raw.comeBy("eth2");
    const other = await talk.goOn();
    expect([active, other]).toEqual([all, none]);
  });

  it("active-backup, by the other member when that has become the active one", async () => {
    await begin("mode active-backup miimon 100");
    await raw.gateway.ip("link set eth0 type bond active_slave eth2");
    await raw.apply();
    const first = await talk.goOn();
    raw.comeBy("eth2");
    const second = await talk.goOn();
    expect([first, second]).toEqual([none, all]);
  });

  it("802.3ad, by the member that is in the aggregate", async () => {
    await begin("mode 802.3ad miimon 100");
    expect(await talk.goOn()).toEqual(all);
  });
});
